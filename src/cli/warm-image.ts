// An image as a running Larder has it, behind the distribution API.

import { createHash } from 'node:crypto';
import { LarderError } from '../engine/errors.ts';
import { parseDigest, digestText } from '../oci/digest.ts';
import type { ImageSource } from '../oci/image-walk.ts';
import { ACCEPT_MANIFESTS, MAX_MANIFEST, parseManifest, type Descriptor } from '../oci/manifest.ts';
import { nextQuery } from '../oci/tags.ts';
import type { RunningLarder } from './running-larder.ts';

/** Pages of one list of referrers. */
const MAX_PAGES = 100;

/** `path`: of the repository on that server. */
export function imageSource(larder: RunningLarder, path: string, signal: AbortSignal): ImageSource {
  const below = (kind: string, reference: string) => `/v2/${path}/${kind}/${reference}`;
  return {
    async manifest(reference) {
      const asked = { path: below('manifests', reference), accept: ACCEPT_MANIFESTS };
      const { outcome, headers, bytes } = await larder.ask(asked, signal, MAX_MANIFEST);
      const read = bytes ?? Buffer.alloc(0);
      const hash = `sha256:${createHash('sha256').update(read).digest('hex')}`;
      const digest = parseDigest(String(headers['docker-content-digest'] ?? hash));
      if (digest === undefined)
        throw new LarderError('bad_content', 'the server gives a manifest a digest that is none');
      const isNew = outcome === 'miss';
      if (isNew) {
        const stored = { ...asked, path: below('manifests', digestText(digest)) };
        await larder.untilStored(stored, signal);
      }
      return { digest, manifest: parseManifest(read, contentType(headers)), isNew };
    },
    blob: (digest) => larder.keep({ path: below('blobs', digestText(digest)) }, signal),
    async referrers(digest) {
      const found: Descriptor[] = [];
      const list = below('referrers', digestText(digest));
      let query: string | undefined = '';
      for (let pages = 0; query !== undefined && pages < MAX_PAGES; pages++) {
        const asked = { path: list, query };
        const { headers, bytes } = await larder.ask(asked, signal, MAX_MANIFEST);
        const index = parseManifest(bytes ?? Buffer.alloc(0), contentType(headers));
        found.push(...index.manifests);
        const { link } = headers;
        query = nextQuery(typeof link === 'string' ? link : undefined);
      }
      return found;
    },
  };
}

const contentType = (headers: { readonly 'content-type'?: unknown }): string | undefined =>
  typeof headers['content-type'] === 'string' ? headers['content-type'] : undefined;
