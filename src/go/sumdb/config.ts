import { LarderError } from '../../engine/errors.ts';
import { parseVerifierKey, type VerifierKey } from './note.ts';

/** A checksum database to verify against. */
export interface SumdbSetting {
  /** As in `/sumdb/<name>/`; `https://<name>` is the database's own address. */
  readonly name: string;
  readonly key: VerifierKey;
  /** Asked directly, without any Go proxy in between. No slash at its end. Undefined: as the upstreams say. */
  readonly url: string | undefined;
}

/** The go command's own list: a name that stands for its key. */
const KNOWN_KEYS: Readonly<Record<string, string>> = {
  'sum.golang.org': 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8',
};
/** Names that stand for a whole setting. */
const ALIASES: Readonly<Record<string, string>> = {
  'sum.golang.google.cn': 'sum.golang.org https://sum.golang.google.cn',
};
const NAME = /^[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(?:\/[A-Za-z0-9._~-]+)*$/;

/**
 * Parses what GOSUMDB may hold: `off`, or a known name or a key, with an address of the database's own behind it.
 * Throws LarderError `invalid` with what is wrong.
 */
export function parseSumdbSetting(text: string): SumdbSetting | 'off' {
  const setting = text.trim();
  if (setting === 'off') return 'off';
  const [first, address, ...more] = (ALIASES[setting] ?? setting).split(/\s+/);
  if (first === undefined || first === '' || more.length > 0) {
    throw invalid(
      `"${text}" is no checksum database: right is a name or key, optionally with a URL behind it, or "off".`,
    );
  }
  if (!first.includes('+') && KNOWN_KEYS[first] === undefined) {
    throw invalid(
      `The key of the checksum database "${first}" is not known: give it as name+hash+key.`,
    );
  }
  const key = parseVerifierKey(KNOWN_KEYS[first] ?? first);
  if (!NAME.test(key.name) || /(?:^|\/)\.\.?(?:\/|$)/.test(key.name)) {
    throw invalid(`"${key.name}" is no name of a checksum database: right is a host or host/path.`);
  }
  return { name: key.name, key, url: address === undefined ? undefined : parseAddress(address) };
}

function parseAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    // the text may hold a password
    throw invalid(
      'The address of the checksum database is no http or https URL without query and fragment.',
    );
  }
  return url.href.replace(/\/+$/, '');
}

const invalid = (sentence: string) => new LarderError('invalid', sentence);
