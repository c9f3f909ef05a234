import { LarderError } from '../engine/errors.ts';

/** One step of a GOPROXY list. */
export type UpstreamStep = (
  { readonly kind: 'proxy'; readonly url: URL } | { readonly kind: 'direct' | 'off' }
) & {
  /** Go on to the next step on any error (`|`), not on 404 and 410 alone (`,`). */
  readonly onAnyError: boolean;
};

/**
 * Parses a list in GOPROXY's own grammar, of URLs with one of these schemes (`https:`). Throws LarderError `invalid` with a
 * sentence.
 */
export function parseUpstreamList(text: string, schemes: readonly string[]): UpstreamStep[] {
  const steps: UpstreamStep[] = [];
  for (const [, entry = '', separator = ''] of text.matchAll(/([^,|]*)([,|]|$)/g)) {
    const word = entry.trim();
    if (word === '') continue;
    const onAnyError = separator === '|';
    if (word === 'off' || word === 'direct') {
      steps.push({ kind: word, onAnyError });
      // what stands behind either is never reached
      break;
    }
    steps.push({ kind: 'proxy', url: parseUrl(word, schemes), onAnyError });
  }
  if (steps.length === 0) {
    throw new LarderError(
      'invalid',
      'it names no upstream: give URLs with , or | between them, direct, or off',
    );
  }
  return steps;
}

function parseUrl(word: string, schemes: readonly string[]): URL {
  // as in Go, a bare host means https
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:/i.test(word) ? word : `https://${word}`);
  // only a file needs no host, and may have none
  if (
    url === null ||
    !schemes.includes(url.protocol) ||
    (url.hostname === '') !== (url.protocol === 'file:')
  ) {
    const known = schemes.map((scheme) => `${scheme}//`).join(', ');
    throw new LarderError('invalid', `an upstream must be a URL (${known}), direct, or off`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw new LarderError('invalid', `the URL of ${url.host} may have no query and no fragment`);
  }
  return url;
}
