// Which manifests stand in a full index, and in which order.

import { digestText } from './digest.ts';
import type { Descriptor } from './manifest.ts';

/** These come first, in this order, then all others by their names. */
const FIRST_SYSTEMS = ['linux'];
const FIRST_ARCHITECTURES = ['amd64', 'arm64'];
const byName = new Intl.Collator('en', { numeric: true });

/** Each digest once, the first that names it; of attestations those alone whose subject is there too. */
export function wanted(manifests: readonly Descriptor[]): Descriptor[] {
  const seen = new Set<string>();
  const once = manifests.filter((one) => seen.size < seen.add(keyOf(one)).size);
  return withAttestations(once, (images) => images);
}

/** Images by their platforms, and behind each its attestations. What `wanted` gave stays whole. */
export const ordered = (manifests: readonly Descriptor[]): Descriptor[] =>
  withAttestations(manifests, (images) => images.toSorted(byPlatform));

function withAttestations(
  manifests: readonly Descriptor[],
  arrange: (images: readonly Descriptor[]) => readonly Descriptor[],
): Descriptor[] {
  const ofSubject = Map.groupBy(manifests, ({ attests }) => attests);
  const withOwn = (one: Descriptor): Descriptor[] => {
    const own = ofSubject.get(keyOf(one)) ?? [];
    return [one, ...own.flatMap(withOwn)];
  };
  // those in a circle are nobody's, and so out
  return arrange(ofSubject.get(undefined) ?? []).flatMap(withOwn);
}

const keyOf = ({ digest }: Descriptor): string => digestText(digest);

function byPlatform({ platform: a }: Descriptor, { platform: b }: Descriptor): number {
  return (
    byRank(a?.os, b?.os, FIRST_SYSTEMS) ||
    byRank(a?.architecture, b?.architecture, FIRST_ARCHITECTURES) ||
    byName.compare(a?.variant ?? '', b?.variant ?? '') ||
    byName.compare(a?.osVersion ?? '', b?.osVersion ?? '')
  );
}

/** What has no name comes last. */
function byRank(a: string | undefined, b: string | undefined, first: readonly string[]): number {
  const rank = (name: string | undefined) => {
    if (name === undefined) return first.length + 1;
    const at = first.indexOf(name);
    return at < 0 ? first.length : at;
  };
  return rank(a) - rank(b) || byName.compare(a ?? '', b ?? '');
}
