// POST /admin/warm: what its names mean in each protocol.

import type { JobKind, JobOptions } from '../admin/jobs.ts';
import { LarderError } from '../engine/errors.ts';
import { waitOut } from '../engine/wait-out.ts';
import type { GoPlane } from '../go/routes.ts';
import { parseVersion, versionName, walkVersion } from '../go/warm.ts';
import { parsePlatform } from '../oci/platforms.ts';
import type { OciUpstreams } from '../oci/upstreams.ts';
import { parseImage, type ImageWarmer } from '../oci/warm.ts';
import { warmAll, type Warmable } from '../references/warm.ts';

/** How long one piece waits for an upstream that says 429. */
export const WARM_WAIT_MS = 60_000;

export interface WarmParts {
  readonly go: GoPlane['keep'];
  readonly images: ImageWarmer;
  readonly upstreams: OciUpstreams;
}

export function warmKind(parts: WarmParts): JobKind {
  return {
    members: { go: 'texts', oci: 'texts', platforms: 'texts' },
    work(options) {
      const items = new Map<string, Warmable>();
      for (const item of itemsOf(parts, options)) items.set(item.name, item);
      if (items.size === 0)
        throw new LarderError(
          'invalid',
          'it names nothing: give go, with versions, or oci, with images, or both',
        );
      return (signal, progress) => warmAll([...items.values()], signal, progress);
    },
  };
}

/** Throws LarderError `invalid` for what is no name or platform. */
function itemsOf({ go, images, upstreams }: WarmParts, options: JobOptions): Warmable[] {
  const platforms = textsOf(options, 'platforms').map(parsePlatform);
  const modules = textsOf(options, 'go').map((text): Warmable => {
    const wanted = parseVersion(text);
    return {
      name: versionName(wanted),
      warm: (signal, pieces) =>
        walkVersion(wanted, {
          ...pieces,
          keep: (name) => waitOut({ withinMs: WARM_WAIT_MS, signal }, () => go(name, signal)),
        }),
    };
  });
  const pulled = textsOf(options, 'oci').map((text): Warmable => {
    const image = parseImage(text, upstreams);
    const chosen = platforms.length === 0 ? undefined : platforms;
    return {
      name: image.name,
      warm: (signal, pieces) => images.warm(image, { ...pieces, platforms: chosen }, signal),
    };
  });
  return [...modules, ...pulled];
}

function textsOf(options: JobOptions, name: string): readonly string[] {
  const value = options[name];
  return typeof value === 'object' ? value : [];
}
