// Images that are brought into this store ahead of need, by the rules and rights of those who pull them.

import { LarderError } from '../engine/errors.ts';
import { Slots } from '../engine/limits.ts';
import { waitOut } from '../engine/wait-out.ts';
import { bytesOf, type OciAnswers } from './answers.ts';
import { digestText, type Digest } from './digest.ts';
import type { OciParts } from './exchange.ts';
import {
  PieceError,
  walkImage,
  type HeldManifest,
  type ImageSource,
  type ImageWalk,
} from './image-walk.ts';
import { parseManifest, type Descriptor } from './manifest.ts';
import { digestOf, tagOf } from './names.ts';
import { parsePurgeName, purgedName, type PurgeTarget } from './purge-name.ts';
import type { OciContent, OciView } from './serve-content.ts';
import { pageOf, targetOf } from './tags.ts';
import type { OciUpstreams, Repository } from './upstreams.ts';

/** Pieces that are brought at once, of all images together. */
const PIECES = { places: 32, maxWaiting: Infinity, maxWaitMs: 2 ** 31 - 1 };
/** Pages of one list of referrers. */
const MAX_PAGES = 100;

/** An image to be warmed. */
export interface NamedImage {
  /** In its one spelling: `oci:HOST/REPO:TAG`, `oci:HOST/REPO@DIGEST`. */
  readonly name: string;
  /** Where it may be, the likelier first. */
  readonly paths: readonly string[];
  readonly host: string;
  /** A tag or a digest. */
  readonly reference: string;
}

/** Reads a name as a purge does; without a tag or digest `latest` is meant. Throws LarderError `invalid`. */
export function parseImage(text: string, upstreams: Pick<OciUpstreams, 'has'>): NamedImage {
  const { repositories, target } = parsePurgeName(text, upstreams);
  const [repository] = repositories;
  if (repository === undefined) throw new LarderError('invalid', 'this names no repository');
  const meant: PurgeTarget = target.kind === 'repository' ? { kind: 'tag', tag: 'latest' } : target;
  return {
    name: purgedName(repository, meant),
    host: repository.upstream.name,
    paths: repositories.map(({ path }) => path),
    reference: meant.kind === 'tag' ? meant.tag : digestText(meant.digest),
  };
}

export interface ImageWarmerParts extends Pick<OciParts, 'upstreams' | 'policy' | 'offline'> {
  readonly content: Pick<OciContent, 'keep'>;
  readonly answers: Pick<OciAnswers, 'byTag' | 'referrersPage'>;
  /** How long one piece waits for an upstream that says 429, milliseconds. */
  readonly waitMs: number;
}

export class ImageWarmer {
  readonly #parts: ImageWarmerParts;
  readonly #pieces = new Slots(PIECES);

  constructor(parts: ImageWarmerParts) {
    this.#parts = parts;
  }

  /**
   * Brings all of an image: true when any of it was fetched just now. Throws LarderError, `not_found` for a registry that is not
   * configured, and the signal's reason.
   */
  async warm(
    { host, paths, reference }: NamedImage,
    walk: Omit<ImageWalk, 'reference'>,
    signal: AbortSignal,
  ): Promise<boolean> {
    for (const [at, path] of paths.entries()) {
      const [repository] = this.#parts.upstreams.choose({ namespaces: [host], name: path });
      if (repository === undefined) break;
      try {
        const source = this.#source({ ...repository, path }, signal);
        return await walkImage(source, { ...walk, reference });
      } catch (error) {
        // not one of its pieces
        const missing = error instanceof LarderError && !(error instanceof PieceError);
        if (!missing || error.code !== 'not_found' || at === paths.length - 1) throw error;
      }
    }
    throw new LarderError('not_found', 'this registry is not mirrored here');
  }

  #source(repository: Repository, signal: AbortSignal): ImageSource {
    const { content, answers, waitMs } = this.#parts;
    const piece = async <T>(run: () => Promise<T>): Promise<T> => {
      const leave = await this.#pieces.take();
      try {
        signal.throwIfAborted();
        return await waitOut({ withinMs: waitMs, signal }, run);
      } finally {
        leave();
      }
    };
    const byDigest = async (digest: Digest, view: OciView): Promise<HeldManifest> => {
      const { isNew, bytes } = await content.keep('manifest', view, digest);
      return { digest, manifest: parseManifest(bytes ?? new Uint8Array(), undefined), isNew };
    };
    return {
      manifest: (reference) =>
        piece(async () => {
          if (reference.includes(':'))
            return byDigest(digestOf(reference), this.#view(repository, signal, 'manifest'));
          const tag = tagOf(reference);
          const view = this.#view(repository, signal, 'manifest', tag);
          return answers.byTag(view, tag, async (answer) => {
            const held = await byDigest(targetOf(bytesOf(answer)).digest, view);
            return { ...held, isNew: held.isNew || answer.outcome === 'miss' };
          });
        }),
      blob: (digest) =>
        piece(async () => {
          const view = this.#view(repository, signal, 'blob');
          return (await content.keep('blob', view, digest)).isNew;
        }),
      referrers: (digest) =>
        piece(async () => {
          const view = this.#view(repository, signal, 'manifest');
          const found: Descriptor[] = [];
          let query: string | undefined = '';
          for (let pages = 0; query !== undefined && pages < MAX_PAGES; pages++) {
            const page = pageOf(bytesOf(await answers.referrersPage(view, digest, query)));
            found.push(...parseManifest(Buffer.from(page.body), page.contentType).manifests);
            query = page.next;
          }
          return found;
        }),
    };
  }

  /** As a client's request has it; but what misses is fetched, unless the rules forbid that. Throws LarderError `denied`. */
  #view(
    repository: Repository,
    signal: AbortSignal,
    kind: 'manifest' | 'blob',
    tag?: string,
  ): OciView {
    const { policy, offline } = this.#parts;
    const { upstream, path } = repository;
    const decision = policy.admit({ host: upstream.name, path, tag });
    const isForbidden = offline !== undefined || (kind === 'blob' && decision.mode === 'none');
    const ask = { mode: isForbidden ? 'none' : 'sync', why: offline, signal } as const;
    return { repository: { ...repository, from: decision.rule?.upstream }, decision, ask };
  }
}
