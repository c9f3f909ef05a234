// Rules about images: a pattern of repositories, if need be of their tags.

import { LarderError } from '../engine/errors.ts';
import { compileGlob, compilePrefixPattern } from '../engine/path-patterns.ts';
import { Policy, type CompiledRule, type Mode, type Rule } from '../engine/policy.ts';
import type { Platform } from './platforms.ts';
import { parsePurgeName } from './purge-name.ts';
import { canonicalHost, DOCKER_HUB } from './upstreams.ts';

/** What rules are about: a tag; or a repository as a whole, as where something is asked for by its digest. */
export interface OciTarget {
  /** Name of its registry. */
  readonly host: string;
  readonly path: string;
  readonly tag?: string | undefined;
}

export interface OciRule extends Rule {
  /** In place of the registry's own address. */
  readonly upstream?: URL | undefined;
  readonly tagTtlMs?: number | undefined;
  /** Of an index, manifests for others are not fetched before they are asked for. */
  readonly platforms?: readonly Platform[] | undefined;
}

export type OciPolicy = Policy<OciTarget, OciRule>;

export const ociPolicy = (mode: Mode): OciPolicy =>
  new Policy<OciTarget, OciRule>(
    ({ host, path, tag }) => (tag === undefined ? `${host}/${path}` : `${host}/${path}:${tag}`),
    mode,
  );

export type OciPattern = (target: OciTarget) => boolean | 'partly';

/**
 * Reads a pattern of `HOST/REPOSITORY[:TAG]`: for the repository the grammar of GOPRIVATE, a glob for its leading elements;
 * for the tag a glob for the whole of it. Docker Hub's other names mean `docker.io`, and its official images have `library/`
 * or not. Throws LarderError `invalid` with a sentence.
 */
export function parseOciPattern(text: string): OciPattern {
  const [repository, tag] = split(text);
  const slash = repository.indexOf('/');
  const first = slash < 0 ? repository : repository.slice(0, slash);
  const named = canonicalHost(first) + repository.slice(first.length).toLowerCase();
  const matches = compilePrefixPattern(named);
  const matchesTag = tag === undefined ? undefined : compileGlob(tag);
  if (
    matches === undefined ||
    (tag !== undefined && matchesTag === undefined) ||
    /[\s@,]/.test(text)
  )
    throw invalid(
      `${JSON.stringify(text)} is no pattern of images: give one such as docker.io/library/* or ghcr.io/owner/image:1.*`,
    );
  return (target) => {
    if (!spellings(target).some(matches)) return false;
    if (matchesTag === undefined) return true;
    return target.tag === undefined ? 'partly' : matchesTag(target.tag);
  };
}

export function compileOciRule(
  pattern: OciPattern,
  rule: OciRule,
): CompiledRule<OciTarget, OciRule> {
  return { rule, matches: pattern };
}

/**
 * Reads `HOST/REPOSITORY`, with `:TAG` or `@DIGEST` behind it or not; by a digest the repository as a whole is meant. Throws
 * LarderError `invalid` with a sentence.
 */
export function parseOciTarget(text: string): OciTarget {
  const { repositories, target } = parsePurgeName(text, { has: () => false });
  const [repository] = repositories;
  if (repository === undefined) throw invalid(`${JSON.stringify(text)} names no repository`);
  const { upstream, path } = repository;
  return { host: upstream.name, path, ...(target.kind === 'tag' && { tag: target.tag }) };
}

/** How a rule may name it. */
function spellings({ host, path }: OciTarget): string[] {
  if (host !== DOCKER_HUB) return [`${host}/${path}`];
  const short = path.startsWith('library/') ? path.slice('library/'.length) : path;
  return short.includes('/')
    ? [`${host}/${path}`]
    : [`${host}/library/${short}`, `${host}/${short}`];
}

/** What stands behind the last colon is a tag, unless there is a slash in it or it is a host's port. */
function split(text: string): [repository: string, tag: string | undefined] {
  const colon = text.lastIndexOf(':');
  const behind = text.slice(colon + 1);
  const isPort = colon > 0 && !text.slice(0, colon).includes('/') && /^\d+$/.test(behind);
  return colon < 0 || behind.includes('/') || isPort
    ? [text, undefined]
    : [text.slice(0, colon), behind];
}

const invalid = (sentence: string): LarderError => new LarderError('invalid', sentence);
