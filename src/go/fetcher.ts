// The port of whatever Go modules come from. Implementations: fetch-proxy, fetch-vcs, fetch-directory, of which
// app/go-fetchers.ts chooses by the address, and fetch-athens, for imports alone. All of them pass test/contract/fetcher.ts.

import type { Fetched } from '../engine/ports.ts';
import type { GoFileName } from './names.ts';

/**
 * Gets one thing of the GOPROXY protocol from one place. It neither caches, falls back, hashes nor logs; what it hands over is
 * checked by others.
 */
export interface GoFetcher {
  /** Who it is, without credentials. Two that may disagree on a module have different names. */
  readonly source: string;
  /**
   * `path` begins with `/` and is escaped: `/<module>/@v/list`, `/<module>/@latest`, `/<module>/@v/<version or query>.info`,
   * `.mod`, `.zip`. Throws LarderError: `not_found` only for what is known to be not there, since the upstream list goes on
   * after that alone; `upstream_unauthorized`, `upstream_forbidden`, `upstream_failed`, `upstream_timeout`, `rate_limited`;
   * and the signal's reason when it aborts.
   */
  fetch(path: string, signal: AbortSignal): Promise<Fetched>;
  /** Whether it is there, and its length in bytes where that can be known without its bytes. Throws as `fetch` does. */
  fetchSize(path: string, signal: AbortSignal): Promise<number | undefined>;
  /** Where clients may ask for it by themselves; undefined where only Larder may, or nobody can. */
  location?(path: string): string | undefined;
}

/** What one run makes of a version, beside its zip. */
export interface Made {
  /** Hash of the zip as go.sum has it. */
  readonly h1: string;
  readonly info: Uint8Array;
  readonly mod: Uint8Array;
}

export interface MadeVersion extends Made {
  readonly zip: Fetched;
  /** Lets it go before its time: all that it is made of is kept elsewhere now. */
  release(): void;
}

/** One that makes the three files of a version at once, so that they belong together by their making. */
export interface VersionFetcher extends GoFetcher {
  /** Whoever asks while a version is made, or a moment after, gets the same. Throws as `fetch` does. */
  fetchVersion(name: GoFileName, signal: AbortSignal): Promise<MadeVersion>;
}

export const makesVersions = (fetcher: GoFetcher): fetcher is VersionFetcher =>
  'fetchVersion' in fetcher;
