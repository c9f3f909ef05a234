// One line of what is to be deployed: read, and checked as far as it can be by itself.

import { messageOf } from '../../engine/errors.ts';
import { digestText, parseDigest, type Digest } from '../digest.ts';
import { parseFullName, type FullName } from '../full-name.ts';
import { MAX_MANIFEST } from '../manifest.ts';
import { repositories, type OciUpstreams, type Repository } from '../upstreams.ts';
import {
  fromBase64,
  hashOf,
  isObject,
  manifestProblems,
  readDocument,
  type Child,
} from './document.ts';
import { compactMembers } from './json-text.ts';

/** A name under which a registry is to have it. */
export interface Reference {
  /** As it was given. */
  readonly text: string;
  readonly repository: Repository;
  /** A tag, or where there is none the digest. */
  readonly reference: string;
  /** Of the bytes, by the algorithm of the name. */
  readonly digest: string;
}

export interface DeployInput {
  /** Of its line, from 1. */
  readonly line: number;
  readonly kind: 'manifest' | 'blob';
  readonly refs: readonly Reference[];
  readonly bytes: Buffer;
  /** sha256, unless the names say another one. */
  readonly digest: string;
  /** Of a manifest. */
  readonly mediaType: string;
  readonly children: readonly Child[];
  readonly embedded: ReadonlyMap<string, Buffer>;
  /** Where children are to be had: by digest, and under the empty text those that are not named. */
  readonly sources: ReadonlyMap<string, Repository>;
}

export type ReadLine =
  { readonly input: DeployInput } | { readonly problems: readonly [string, ...string[]] };

const FIELDS = new Set(['refs', 'manifest', 'blob', 'sources']);

/** Reads a line of JSON. What is wrong is told as sentences without a point, all of it at once. */
export function readDeployLine(text: string, line: number, upstreams: OciUpstreams): ReadLine {
  const problems: string[] = [];
  const report = (problem: string) => problems.push(problem);
  const json = parse(text, report);
  const [problem, ...others] = problems;
  if (json === undefined) return { problems: [problem ?? 'it is no JSON object', ...others] };
  for (const name of Object.keys(json))
    if (!FIELDS.has(name)) report(`there is no field ${JSON.stringify(name)}`);
  const content = contentOf(json, text, report);
  const refs = content && refsOf(json['refs'], content, upstreams, report);
  if (content === undefined) refsOf(json['refs'], undefined, upstreams, report);
  const sources = sourcesOf(json['sources'], upstreams, report);
  if (content?.kind === 'blob' && json['sources'] !== undefined)
    report('a blob needs no sources: its bytes are there');
  const [first, ...more] = problems;
  if (first !== undefined) return { problems: [first, ...more] };
  if (content === undefined || refs === undefined) return { problems: ['it cannot be read'] };
  const digest = refs.find((ref) => ref.reference === ref.digest)?.digest ?? content.digest;
  const document =
    content.kind === 'manifest'
      ? readDocument(content.bytes)
      : { mediaType: 'application/octet-stream', children: [], embedded: new Map() };
  return { input: { line, ...content, ...document, refs, digest, sources } };
}

interface Content {
  readonly kind: 'manifest' | 'blob';
  readonly bytes: Buffer;
  readonly digest: string;
}

type Report = (problem: string) => void;

function parse(text: string, report: Report): Readonly<Record<string, unknown>> | undefined {
  if (text.includes('\uFFFD')) {
    report('it is not UTF-8');
    return undefined;
  }
  try {
    const json: unknown = JSON.parse(text);
    if (isObject(json)) return json;
    report('it is no JSON object');
  } catch (error) {
    report(`it is no JSON: ${messageOf(error)}`);
  }
  return undefined;
}

function contentOf(
  json: Readonly<Record<string, unknown>>,
  text: string,
  report: Report,
): Content | undefined {
  const { manifest, blob } = json;
  if ((manifest === undefined) === (blob === undefined)) {
    report('it needs either a manifest or a blob');
    return undefined;
  }
  const kind = blob === undefined ? 'manifest' : 'blob';
  const bytes = blob === undefined ? manifestBytes(manifest, text, report) : bytesOf(blob);
  if (bytes === undefined) {
    if (kind === 'blob' || typeof manifest === 'string') report(`the ${kind} is no base64`);
    return undefined;
  }
  if (kind === 'manifest') {
    if (bytes.length > MAX_MANIFEST)
      report(`the manifest is larger than ${String(MAX_MANIFEST)} bytes`);
    manifestProblems(jsonOf(bytes)).forEach(report);
  }
  return { kind, bytes, digest: `sha256:${hashOf('sha256', bytes)}` };
}

const bytesOf = (value: unknown): Buffer | undefined =>
  typeof value === 'string' ? fromBase64(value) : undefined;

/** An object's bytes are its compact JSON, a text is base64 of them. */
function manifestBytes(manifest: unknown, text: string, report: Report): Buffer | undefined {
  if (typeof manifest === 'string') return fromBase64(manifest);
  if (!isObject(manifest)) {
    report('the manifest is neither an object nor base64');
    return undefined;
  }
  try {
    return Buffer.from(compactMembers(text).get('manifest') ?? '');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    report(error.message);
    return undefined;
  }
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined; // a problem of its own
  }
}

function refsOf(
  value: unknown,
  content: Content | undefined,
  upstreams: OciUpstreams,
  report: Report,
): Reference[] {
  if (!Array.isArray(value) || value.length === 0) {
    report('refs is no list of names');
    return [];
  }
  return value.flatMap((text: unknown) => {
    const name = nameOf(text, upstreams, report);
    if (name === undefined || content === undefined) return [];
    const { tag, digest } = name;
    const shown = JSON.stringify(text);
    if (content.kind === 'blob' && tag !== undefined) {
      report(`${shown}: a blob has no tag`);
      return [];
    }
    const own = ownDigest(content, digest);
    if (digest !== undefined && own !== digestText(digest)) {
      report(`${shown}: these bytes are ${own}`);
      return [];
    }
    return [
      { text: String(text), repository: name.repository, reference: tag ?? own, digest: own },
    ];
  });
}

const ownDigest = ({ bytes, digest }: Content, named: Digest | undefined): string =>
  named === undefined || named.algorithm === 'sha256'
    ? digest
    : `${named.algorithm}:${hashOf(named.algorithm, bytes)}`;

function sourcesOf(
  value: unknown,
  upstreams: OciUpstreams,
  report: Report,
): ReadonlyMap<string, Repository> {
  const sources = new Map<string, Repository>();
  if (value === undefined) return sources;
  if (!isObject(value)) {
    report('sources is no object');
    return sources;
  }
  for (const [digest, text] of Object.entries(value)) {
    if (digest !== '' && parseDigest(digest) === undefined)
      report(`sources: ${JSON.stringify(digest)} is no digest`);
    const name = nameOf(text, upstreams, (problem) => {
      report(`sources: ${problem}`);
    });
    if (name?.tag !== undefined)
      report(`sources: ${JSON.stringify(text)} has a tag: give HOST/REPO or HOST/REPO@DIGEST`);
    if (name) sources.set(digest, name.repository);
  }
  return sources;
}

function nameOf(
  text: unknown,
  upstreams: OciUpstreams,
  report: Report,
): (FullName & { readonly repository: Repository }) | undefined {
  const shown = JSON.stringify(text);
  if (typeof text !== 'string') {
    report(`${shown} is no name of an image`);
    return undefined;
  }
  try {
    const name = parseFullName(text, upstreams);
    const upstream = upstreams.named(name.host);
    if (upstream === undefined) {
      report(`${shown}: LARDER_OCI_UPSTREAMS does not list ${name.host}`);
      return undefined;
    }
    const [repository] = repositories(upstream, name.path);
    return repository && { ...name, repository };
  } catch (error) {
    report(`${shown}: ${messageOf(error)}`);
    return undefined;
  }
}
