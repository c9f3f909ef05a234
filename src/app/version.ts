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
  const file = new URL('../../package.json', import.meta.url);
  const { version, commit } = JSON.parse(readFileSync(file, 'utf8')) as {
    version: string;
    commit?: string;
  };
  return { version, ...(commit === undefined ? {} : { commit }), node: process.versions.node };
}
