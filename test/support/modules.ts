// Go module versions as data: what a GOPROXY serves of them, and what a checksum database says of them.

import { createHash } from 'node:crypto';
import { Body } from './body.ts';
import { zipOf } from './zip-body.ts';

export interface VersionOptions {
  /** Modules it requires: path → version. */
  readonly requires?: Readonly<Record<string, string>>;
  /** Versions or ranges in retract directives. */
  readonly retracts?: readonly string[];
  /** The whole go.mod, in place of the one made from the above. */
  readonly gomod?: string;
  /** Files beside go.mod, by name. Default: one small Go file. */
  readonly files?: Readonly<Record<string, string | Uint8Array | Body>>;
  /** So many more bytes that do not compress, in a file of their own. */
  readonly noise?: number;
  /** RFC 3339. */
  readonly time?: string;
  /** Whether `@v/list` names it. Default: unless it is a pseudo-version. */
  readonly listed?: boolean;
}

/** One version, as an upstream serves it. Tests may replace a part to make an upstream lie. */
export interface ModuleVersion {
  readonly module: string;
  readonly version: string;
  readonly time: string;
  readonly listed: boolean;
  info: Body;
  mod: Body;
  zip: Body;
  /** The two lines that go.sum has for it, hashed from what it was made of. */
  readonly sums: string;
}

export type Extension = 'info' | 'mod' | 'zip';

/** Go's escaping of upper case letters in paths. */
const escapePath = (text: string): string =>
  text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
const unescapePath = (text: string): string =>
  text.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** `/<module>/@v/<version>.<extension>`, escaped. */
export const filePath = (
  { module, version }: { module: string; version: string },
  extension: Extension,
): string => `/${escapePath(module)}/@v/${escapePath(version)}.${extension}`;

export const listPath = (module: string): string => `/${escapePath(module)}/@v/list`;
export const latestPath = (module: string): string => `/${escapePath(module)}/@latest`;

/** Makes a version. One that is `+incompatible` has no go.mod in its zip, unless one is given. */
export function moduleVersion(
  module: string,
  version: string,
  options: VersionOptions = {},
): ModuleVersion {
  const legacy = version.endsWith('+incompatible') && options.gomod === undefined;
  const gomod = options.gomod ?? (legacy ? `module ${module}\n` : goMod(module, options));
  const name = packageName(module);
  const files: Record<string, Body> = legacy ? {} : { 'go.mod': Body.of(gomod) };
  for (const [file, content] of Object.entries(
    options.files ?? { [`${name}.go`]: `package ${name}\n` },
  )) {
    files[file] = Body.of(content);
  }
  if (options.noise !== undefined)
    files['noise.bin'] = Body.noise(options.noise, `${module}@${version}`);
  const time = options.time ?? '2024-05-06T07:08:09Z';
  const prefixed = Object.entries(files).map(([file, body]): [string, Body] => [
    `${module}@${version}/${file}`,
    body,
  ]);
  return {
    module,
    version,
    time,
    listed: options.listed ?? !/\d{14}-[0-9a-f]{12}$/.test(version),
    info: Body.of(JSON.stringify({ Version: version, Time: time })),
    mod: Body.of(gomod),
    zip: zipOf(prefixed),
    get sums() {
      const mod = hash1([['go.mod', Body.of(gomod)]]);
      return `${module} ${version} ${hash1(prefixed)}\n${module} ${version}/go.mod ${mod}\n`;
    },
  };
}

function goMod(module: string, { requires = {}, retracts = [] }: VersionOptions): string {
  // before Go 1.17 no go.mod repeats what its requirements require: a graph must be read whole
  const lines = [`module ${module}`, '', 'go 1.16', ''];
  for (const [path, version] of Object.entries(requires)) lines.push(`require ${path} ${version}`);
  for (const version of retracts) lines.push(`retract ${version} // made for a test`);
  return `${lines.join('\n')}\n`;
}

function packageName(module: string): string {
  const last =
    module
      .replace(/\/v\d+$/, '')
      .split('/')
      .at(-1) ?? '';
  return last.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** `h1:` hash of named files (golang.org/x/mod/sumdb/dirhash, Hash1). */
function hash1(files: readonly (readonly [string, Body])[]): string {
  const sorted = [...files].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const summary = createHash('sha256');
  for (const [name, body] of sorted) summary.update(`${body.sha256}  ${name}\n`);
  return `h1:${summary.digest('base64')}`;
}

export interface CatalogueAnswer {
  readonly contentType: string;
  readonly body: Body;
  /** One of a version's files: has an ETag, and ranges of it can be asked for. */
  readonly isFile: boolean;
}

interface ModuleEntry {
  readonly versions: Map<string, ModuleVersion>;
  /** Branches, tags, commits → version. */
  readonly revisions: Map<string, string>;
}

/** What one upstream has. */
export class Catalogue {
  readonly #modules = new Map<string, ModuleEntry>();

  add(version: ModuleVersion): void {
    this.#entry(version.module).versions.set(version.version, version);
  }

  remove(module: string, version: string): void {
    this.#entry(module).versions.delete(version);
  }

  /** Lets `<revision>.info` answer with a version. */
  name(module: string, revision: string, version: string): void {
    this.#entry(module).revisions.set(revision, version);
  }

  find(module: string, version: string): ModuleVersion | undefined {
    return this.#modules.get(module)?.versions.get(version);
  }

  /** What a GOPROXY answers to a decoded path; undefined: 404. */
  answer(path: string): CatalogueAnswer | undefined {
    const [, escaped = '', rest = ''] = /^\/(.+)\/(@(?:latest$|v\/).*)$/.exec(path) ?? [];
    const module = this.#modules.get(unescapePath(escaped));
    if (module === undefined) return undefined;
    const listed = [...module.versions.values()].filter((version) => version.listed);
    if (rest === '@v/list') {
      const text = listed.map(({ version }) => `${version}\n`).join('');
      return { contentType: 'text/plain; charset=utf-8', body: Body.of(text), isFile: false };
    }
    if (rest === '@latest') {
      const latest = listed.at(-1) ?? [...module.versions.values()].at(-1);
      return latest && { contentType: 'application/json', body: latest.info, isFile: false };
    }
    return fileOf(module, rest);
  }

  #entry(module: string): ModuleEntry {
    let entry = this.#modules.get(module);
    if (entry === undefined) {
      entry = { versions: new Map(), revisions: new Map() };
      this.#modules.set(module, entry);
    }
    return entry;
  }
}

function fileOf(module: ModuleEntry, rest: string): CatalogueAnswer | undefined {
  const [, escaped = '', extension] = /^@v\/(.+)\.(info|mod|zip)$/.exec(rest) ?? [];
  const asked = unescapePath(escaped);
  const named = extension === 'info' ? module.revisions.get(asked) : undefined;
  const version = module.versions.get(named ?? asked);
  if (version === undefined) return undefined;
  switch (extension as Extension) {
    case 'info':
      return { contentType: 'application/json', body: version.info, isFile: named === undefined };
    case 'mod':
      return { contentType: 'text/plain; charset=utf-8', body: version.mod, isFile: true };
    case 'zip':
      return { contentType: 'application/zip', body: version.zip, isFile: true };
  }
}
