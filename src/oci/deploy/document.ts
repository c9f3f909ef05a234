// What a manifest that somebody wants to push must be, told problem by problem (image-spec: manifest, index, descriptor).

import { createHash } from 'node:crypto';
import { digestText, parseDigest, type Digest } from '../digest.ts';
import { manifestKind, parseManifest, type Manifest } from '../manifest.ts';

/** What a manifest needs in its repository before it is taken. */
export interface Child {
  readonly kind: 'manifest' | 'blob';
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly mediaType: string;
}

export interface CheckedManifest {
  readonly mediaType: string;
  readonly children: readonly Child[];
  /** Bytes of children that stand in their descriptors (`data`), by digest. */
  readonly embedded: ReadonlyMap<string, Buffer>;
}

/** RFC 6838, 4.2: without parameters. */
const MEDIA_TYPE = /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}$/i;

type Json = Readonly<Record<string, unknown>>;

/** `json`: what the bytes of a manifest say. Returns what is wrong with it, each as a sentence without a point. */
export function manifestProblems(json: unknown): string[] {
  if (!isObject(json)) return ['the manifest is no JSON object'];
  const problems: string[] = [];
  if (json['schemaVersion'] !== 2) problems.push('schemaVersion is not 2');
  const { mediaType } = json;
  const kind = kindOf(json);
  if (kind === undefined) {
    problems.push(
      mediaType === undefined
        ? 'the manifest has neither a mediaType, nor manifests or config to know it by'
        : `mediaType ${shown(mediaType)} is not that of a manifest or index`,
    );
    return problems;
  }
  const check = (where: string, value: unknown) => {
    problems.push(...descriptorProblems(value).map((problem) => `${where}: ${problem}`));
  };
  const checkAll = (name: string, isNeeded: boolean) => {
    const list = json[name];
    if (Array.isArray(list)) {
      for (const [at, one] of list.entries()) check(`${name}[${String(at)}]`, one);
    } else if (isNeeded || list !== undefined) problems.push(`${name} is no list`);
  };
  if (kind === 'index') {
    for (const name of ['config', 'layers'])
      if (name in json) problems.push(`an index has no ${name}`);
    checkAll('manifests', true);
    if (Array.isArray(json['manifests'])) problems.push(...indexProblems(json['manifests']));
  } else {
    if ('manifests' in json) problems.push('the manifest of an image has no manifests');
    if (kind === 'image' || 'config' in json) check('config', json['config']);
    checkAll('layers', kind === 'image');
    checkAll('blobs', false);
  }
  if (json['subject'] !== undefined) check('subject', json['subject']);
  return problems;
}

/** Of a manifest in which there is no problem. */
export function readDocument(bytes: Buffer): CheckedManifest {
  const manifest = parseManifest(bytes, undefined);
  const embedded = new Map<string, Buffer>();
  const json = JSON.parse(bytes.toString()) as Json;
  for (const one of [json['config'], json['manifests'], json['layers'], json['blobs']].flat()) {
    if (isObject(one) && typeof one['data'] === 'string')
      embedded.set(String(one['digest']), Buffer.from(one['data'], 'base64'));
  }
  return { mediaType: manifest.mediaType, children: childrenIn(manifest), embedded };
}

/** Each once. */
export function childrenIn({ manifests, blobs }: Manifest): Child[] {
  const children = new Map<string, Child>();
  const add = (kind: Child['kind'], of: Manifest['blobs']) => {
    for (const { digest, size, mediaType } of of) {
      const text = digestText(digest);
      children.set(text, { kind, digest: text, size, mediaType });
    }
  };
  add('blob', blobs);
  add('manifest', manifests);
  return [...children.values()];
}

/** Bytes as base64 has them; undefined for what is none. */
export function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

export const hashOf = (algorithm: Digest['algorithm'], bytes: Uint8Array): string =>
  createHash(algorithm).update(bytes).digest('hex');

function kindOf(json: Json): ReturnType<typeof manifestKind> {
  const { mediaType } = json;
  if (typeof mediaType === 'string') return manifestKind(mediaType);
  if (mediaType !== undefined) return undefined;
  // those of OCI 1.0 need not say it
  if ('manifests' in json) return 'index';
  return 'config' in json ? 'image' : undefined;
}

function descriptorProblems(value: unknown): string[] {
  if (!isObject(value)) return ['it is no object'];
  const problems: string[] = [];
  const { mediaType, digest, size, data, urls } = value;
  if (typeof mediaType !== 'string' || !MEDIA_TYPE.test(mediaType))
    problems.push(`mediaType ${shown(mediaType)} is no media type`);
  const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
  if (parsed === undefined)
    problems.push(`digest ${shown(digest)} is not sha256: and 64 hex digits, or sha512: and 128`);
  const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
  if (!isSize) problems.push(`size ${shown(size)} is no number of bytes`);
  if (urls !== undefined && !(Array.isArray(urls) && urls.length === 0))
    problems.push('urls must be empty: what is kept elsewhere cannot be pushed');
  if (data !== undefined) {
    const bytes = typeof data === 'string' ? fromBase64(data) : undefined;
    if (bytes === undefined) problems.push('data is no base64');
    else if (isSize && bytes.length !== size)
      problems.push(`data has ${String(bytes.length)} bytes, and size is ${String(size)}`);
    else if (parsed && hashOf(parsed.algorithm, bytes) !== parsed.hex)
      problems.push('data is not what digest says');
  }
  return problems;
}

function indexProblems(manifests: readonly unknown[]): string[] {
  return manifests.flatMap((entry, at) => {
    if (!isObject(entry)) return [];
    const where = `manifests[${String(at)}]`;
    const { mediaType, platform } = entry;
    const problems: string[] = [];
    const isMediaType = typeof mediaType === 'string' && MEDIA_TYPE.test(mediaType);
    if (isMediaType && manifestKind(mediaType) === undefined)
      problems.push(`${where}: mediaType ${shown(mediaType)} is not that of a manifest or index`);
    const named = (value: unknown) => typeof value === 'string' && value !== '';
    if (!isObject(platform)) problems.push(`${where}: platform is missing`);
    else if (!named(platform['os']) || !named(platform['architecture']))
      problems.push(`${where}: platform lacks os or architecture`);
    return problems;
  });
}

/** A value as a sentence names it. */
function shown(value: unknown): string {
  if (value === undefined) return '(missing)';
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
