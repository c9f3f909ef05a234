// The answers of Go: what an upstream says of a module's versions, and what the store can add.

import type { AnswerBytes } from '../engine/answers.ts';
import { LarderError } from '../engine/errors.ts';
import type { Freshness } from '../engine/freshness.ts';
import type { Store } from '../engine/ports.ts';
import type { AnswerRequest, Redirectable } from '../engine/pull-through.ts';
import { readAll } from '../http/download.ts';
import type { GoDecision } from './gate.ts';
import { MAX_INFO, parseInfo } from './info.ts';
import { keyOf, pathOf, type GoAnswerName } from './names.ts';
import type { GoTarget } from './rules.ts';
import { sortVersions } from './semver.ts';
import type { Sources } from './sources.ts';
import { completeVersions } from './stored-files.ts';
import { cleanList, isCanonicalFor, isPseudoVersion, latestOf } from './version.ts';

const MAX_LIST = 16 * 1024 * 1024;

export interface AnswerParts {
  readonly store: Store;
  readonly sourcesOf: (target: GoTarget) => Sources;
  readonly freshness: (module: string) => Freshness;
}

/** `decision`: what the rules say of the module. */
export function answerRequest(
  parts: AnswerParts,
  name: GoAnswerName,
  { rule, selective }: GoDecision,
): AnswerRequest & Redirectable {
  const usual = parts.freshness(name.module);
  const listTtlMs = rule?.listTtlMs;
  const request = {
    key: keyOf(name),
    freshness: listTtlMs === undefined ? usual : { ...usual, ttlMs: listTtlMs },
    // what may not enter must be left out of it
    location: () =>
      Promise.resolve(
        selective
          ? undefined
          : parts.sourcesOf({ module: name.module }).location(name.module, pathOf(name)),
      ),
  };
  switch (name.kind) {
    case 'list':
      return {
        ...request,
        fetch: (signal) => fetchList(parts, name.module, signal),
        fallback: () => storedList(parts, name.module),
      };
    case 'latest':
      return {
        ...request,
        fetch: (signal) => fetchLatest(parts, name.module, signal),
        fallback: () => storedLatest(parts, name.module),
      };
    case 'query':
      return { ...request, fetch: (signal) => fetchInfo(parts, name, signal) };
  }
}

/** The union of the upstream's and the store's versions: a tag deleted upstream stays while its files are held. */
async function fetchList(
  parts: AnswerParts,
  module: string,
  signal: AbortSignal,
): Promise<AnswerBytes> {
  const held = completeVersions(parts.store, module);
  held.catch(() => undefined); // awaited below, or the upstream's error goes first
  try {
    const { versions, source } = await upstreamVersions(parts, module, signal);
    return listOf([...versions, ...(await held)], source);
  } catch (error) {
    const own = error instanceof LarderError && error.code === 'not_found' ? await held : [];
    if (own.length === 0) throw error;
    return listOf(own, 'store');
  }
}

/** What the store alone lists are complete versions only. */
async function storedList(
  { store }: AnswerParts,
  module: string,
): Promise<AnswerBytes | undefined> {
  const versions = await completeVersions(store, module);
  return versions.length > 0 ? listOf(versions, 'store') : undefined;
}

function listOf(versions: readonly string[], source: string): AnswerBytes {
  const shown = new Set(versions.filter((version) => !isPseudoVersion(version)));
  return {
    bytes: Buffer.from(
      sortVersions(shown)
        .map((version) => `${version}\n`)
        .join(''),
    ),
    source,
  };
}

async function upstreamVersions({ sourcesOf }: AnswerParts, module: string, signal: AbortSignal) {
  const path = pathOf({ kind: 'list', module });
  return sourcesOf({ module }).firstAnswer(module, undefined, async (fetcher) => {
    const { body, source } = await fetcher.fetch(path, signal);
    const text = (await readAll(body, MAX_LIST)).toString();
    if (/^\s*</.test(text))
      throw new LarderError('bad_content', "the upstream's list of versions is HTML");
    return { versions: cleanList(module, text), source };
  });
}

/** Where the upstream has no @latest, it is made from its list. */
async function fetchLatest(
  parts: AnswerParts,
  module: string,
  signal: AbortSignal,
): Promise<AnswerBytes> {
  try {
    return await fetchInfo(parts, { kind: 'latest', module }, signal);
  } catch (error) {
    if (!(error instanceof LarderError) || error.code !== 'not_found') throw error;
    const own = await upstreamVersions(parts, module, signal).then(
      ({ versions }) => versions,
      () => [],
    );
    const version = latestOf(own);
    if (version !== undefined)
      return fetchInfo(parts, { kind: 'file', module, version, ext: 'info' }, signal);
    const stored = await storedLatest(parts, module);
    if (stored) return stored;
    throw error;
  }
}

async function storedLatest(
  { store }: AnswerParts,
  module: string,
): Promise<AnswerBytes | undefined> {
  const version = latestOf(await completeVersions(store, module));
  if (version === undefined) return undefined;
  const info = await store.open(keyOf({ kind: 'file', module, version, ext: 'info' }));
  if (info === undefined) return undefined;
  try {
    return {
      bytes: await readAll(info.body.read(0, undefined, AbortSignal.timeout(10_000)), MAX_INFO),
      source: 'store',
    };
  } finally {
    info.body.close();
  }
}

async function fetchInfo(
  { sourcesOf }: AnswerParts,
  name: Parameters<typeof pathOf>[0],
  signal: AbortSignal,
): Promise<AnswerBytes> {
  const path = pathOf(name);
  return sourcesOf({ module: name.module }).firstAnswer(name.module, undefined, async (fetcher) => {
    const { body, source } = await fetcher.fetch(path, signal);
    const bytes = await readAll(body, MAX_INFO);
    const { version } = parseInfo(bytes);
    if (isCanonicalFor(name.module, version)) return { bytes, source };
    throw new LarderError(
      'bad_content',
      `the upstream's answer names a version that ${name.module} cannot have`,
    );
  });
}
