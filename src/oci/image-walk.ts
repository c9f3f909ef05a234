// All that an image is made of, from its name down: index, manifests, blobs, and what refers to each manifest. Who is asked for it,
// a server over HTTP or the store and its upstream, is for the source to say.

import { LarderError, messageOf } from '../engine/errors.ts';
import { digestText, type Digest } from './digest.ts';
import type { Descriptor, Manifest } from './manifest.ts';
import { isFor, platformText, type Platform } from './platforms.ts';

/** Indexes in indexes, and referrers of referrers. */
const MAX_DEPTH = 8;
/** Layers that their registry need not have: clients get them elsewhere, if at all (image-spec, "Non-Distributable Layers"). */
const ELSEWHERE = /\b(?:nondistributable|foreign)\b/;

/** One repository. Each method resolves when the thing is held, and throws LarderError, or the reason of the signal that it was made with. */
export interface ImageSource {
  /** By a tag or a digest. */
  manifest(reference: string): Promise<HeldManifest>;
  /** Whether it was fetched just now. */
  blob(digest: Digest): Promise<boolean>;
  /** All that refers to a manifest. */
  referrers(digest: Digest): Promise<readonly Descriptor[]>;
}

export interface HeldManifest {
  readonly digest: Digest;
  readonly manifest: Manifest;
  /** Whether it was fetched just now. */
  readonly isNew: boolean;
}

export interface ImageWalk {
  /** A tag or a digest. */
  readonly reference: string;
  /** Of an index, what is for others is left out, and so is what attests it. Undefined: all. */
  readonly platforms: readonly Platform[] | undefined;
  /** Told of every piece that is found, and of every one that is done with. */
  readonly found: () => void;
  readonly done: () => void;
}

/** Something below the name that was asked for. */
export class PieceError extends LarderError {}

/**
 * Asks for all of an image, as many pieces at once as its source takes. True when any piece was fetched just now. What fails stops
 * nothing else. Throws what failed first, at the end, with the piece in front of its sentence.
 */
export async function walkImage(source: ImageSource, walk: ImageWalk): Promise<boolean> {
  const { platforms } = walk;
  const seen = new Set<string>();
  let isNew = false;
  let failed: { readonly error: unknown } | undefined;

  async function piece(what: string, run: () => Promise<void>): Promise<void> {
    walk.found();
    try {
      await run();
    } catch (error) {
      failed ??= { error: ofPiece(what, error) };
    } finally {
      walk.done();
    }
  }

  const once = (digest: Digest, kind: string, run: (text: string) => Promise<void>) => {
    const text = digestText(digest);
    if (seen.has(text)) return Promise.resolve();
    seen.add(text);
    return piece(`${kind} ${text}`, () => run(text));
  };

  const manifest = async (reference: string, depth: number): Promise<void> => {
    const held = await source.manifest(reference);
    seen.add(digestText(held.digest));
    isNew ||= held.isNew;
    if (depth === MAX_DEPTH)
      throw new LarderError('bad_content', 'too much refers to one another to follow it');
    await Promise.all([
      ...wantedOf(held.manifest, platforms).map(({ digest }) =>
        once(digest, 'manifest', (text) => manifest(text, depth + 1)),
      ),
      ...held.manifest.blobs.map((one) => once(one.digest, 'blob', () => blob(one))),
      piece(`referrers of ${digestText(held.digest)}`, () => referrers(held.digest, depth)),
    ]);
  };

  const blob = async ({ digest, mediaType }: Descriptor): Promise<void> => {
    try {
      if (await source.blob(digest)) isNew = true;
    } catch (error) {
      const isElsewhere = error instanceof LarderError && error.code === 'not_found';
      if (!isElsewhere || !ELSEWHERE.test(mediaType)) throw error;
    }
  };

  const referrers = async (of: Digest, depth: number): Promise<void> => {
    const found = await source.referrers(of);
    await Promise.all(
      found.map(({ digest }) => once(digest, 'manifest', (text) => manifest(text, depth + 1))),
    );
  };

  walk.found();
  try {
    await manifest(walk.reference, 0);
  } finally {
    walk.done();
  }
  if (failed) throw failed.error;
  return isNew;
}

/** Throws LarderError `not_found` where an index has nothing for these platforms. */
function wantedOf(
  { manifests }: Manifest,
  platforms: readonly Platform[] | undefined,
): readonly Descriptor[] {
  if (platforms === undefined || manifests.length === 0) return manifests;
  const images = manifests.filter((one) => one.attests === undefined && isFor(one, platforms));
  if (images.length === 0)
    throw new LarderError(
      'not_found',
      `its index has nothing for ${platforms.map(platformText).join(', ')}`,
    );
  const chosen = new Set(images.map(({ digest }) => digestText(digest)));
  const attestations = manifests.filter(({ attests = '' }) => chosen.has(attests));
  return [...images, ...attestations];
}

/** The failure of one piece; a signal's reason stays what it is. */
const ofPiece = (what: string, error: unknown): unknown =>
  error instanceof LarderError
    ? new PieceError(error.code, `${what}: ${messageOf(error)}`, { cause: error })
    : error;
