// What a request on the OCI distribution API is for: its path below /v2/ read into a name, with nobody asked
// (distribution-spec, "Pull", "Content Discovery").

import { LarderError } from '../engine/errors.ts';
import { parseDigest, type Digest } from './digest.ts';

/** What is asked of a repository. */
export type OciResource =
  | { readonly kind: 'manifest'; readonly tag: string }
  | { readonly kind: 'manifest'; readonly digest: Digest }
  | { readonly kind: 'blob' | 'referrers'; readonly digest: Digest }
  | { readonly kind: 'tags' };

export interface OciName {
  /** As it stands in the path, with the registry in front where the client wrote one. */
  readonly name: string;
  readonly resource: OciResource;
}

/** What is wrong with a request, in the words of the specification's error codes. */
export type InvalidCode = 'NAME_INVALID' | 'TAG_INVALID' | 'DIGEST_INVALID';

export class InvalidNameError extends LarderError {
  readonly ociCode: InvalidCode;

  constructor(ociCode: InvalidCode, sentence: string) {
    super('invalid', sentence);
    this.ociCode = ociCode;
  }
}

const ELEMENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
/** A first element may be a host with a port. */
const HOST = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?:\d{1,5}$/i;
const TAG = /^\w[\w.-]{0,127}$/;
/** Bytes of a name, as most registries and clients have it. */
const MAX_NAME = 255;

/**
 * The name in a path: still percent-encoded, without the query, beginning with `/v2/`. Undefined when it is no path of
 * the API. Throws InvalidNameError for a name, tag or digest that can be none.
 */
export function parseOciPath(rawPath: string): OciName | undefined {
  const elements = decode(rawPath).slice('/v2/'.length).split('/');
  const last = elements.pop() ?? '';
  // names may contain these words: the last one counts
  const kind = elements.pop();
  if (elements.length === 0 || last === '') return undefined;
  if (kind === 'tags' && last === 'list') return named(elements, { kind: 'tags' });
  if (kind === 'blobs') return named(elements, { kind: 'blob', digest: digestOf(last) });
  if (kind === 'referrers') return named(elements, { kind, digest: digestOf(last) });
  if (kind !== 'manifests') return undefined;
  if (last.includes(':')) return named(elements, { kind: 'manifest', digest: digestOf(last) });
  return named(elements, { kind: 'manifest', tag: tagOf(last) });
}

function named(elements: readonly string[], resource: OciResource): OciName {
  const name = elements.join('/');
  const [first = '', ...others] = elements;
  checkName(HOST.test(first) ? others : elements, name.length);
  return { name, resource };
}

/** Throws InvalidNameError for elements, and a length in all, that no repository's name may have. */
export function checkName(elements: readonly string[], length: number): void {
  if (elements.every((element) => ELEMENT.test(element)) && length <= MAX_NAME) return;
  throw new InvalidNameError(
    'NAME_INVALID',
    'a repository name has lower-case letters and digits, with single dots, one or two underscores or dashes between them, and slashes; up to 255 characters',
  );
}

/** Throws InvalidNameError for what is no tag. */
export function tagOf(text: string): string {
  if (TAG.test(text)) return text;
  throw new InvalidNameError(
    'TAG_INVALID',
    'a tag has up to 128 letters, digits, underscores, dots and dashes, and begins with no dot or dash',
  );
}

/** Throws InvalidNameError for what is no digest. */
export function digestOf(text: string): Digest {
  const digest = parseDigest(text);
  if (digest) return digest;
  throw new InvalidNameError(
    'DIGEST_INVALID',
    'a digest is sha256: and 64 hex digits, or sha512: and 128, in lower case',
  );
}

function decode(rawPath: string): string {
  try {
    return decodeURIComponent(rawPath);
  } catch (cause) {
    throw new LarderError('invalid', 'the percent-encoding of this path is broken', { cause });
  }
}
