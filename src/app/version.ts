import { readFileSync } from 'node:fs';

/** What `/version` and `--version` tell. */
export interface Build {
  readonly version: string;
  /** Where whoever built this stamped one into package.json. */
  readonly commit?: string;
  readonly node: string;
}

/** Reads package.json, which lies two folders up from the sources and from what is built of them. */
export function readBuild(): Build {
  const { version, commit } = readPackage();
  return { version, ...(commit === undefined ? {} : { commit }), node: process.versions.node };
}

/** What Larder calls itself when it asks somebody (RFC 9110, 10.1.5). `suffix`: words behind it, or nothing. */
export function userAgent(suffix: string): string {
  const { version, homepage } = readPackage();
  return `larder/${version} (+${homepage})${suffix === '' ? '' : ` ${suffix}`}`;
}

function readPackage() {
  const file = new URL('../../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as {
    version: string;
    homepage: string;
    commit?: string;
  };
}
