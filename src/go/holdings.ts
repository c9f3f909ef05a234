// What is stored of modules, for whoever counts, lists or evicts: the unit is a version.

import { mapBounded } from '../engine/bounded.ts';
import { LarderError } from '../engine/errors.ts';
import {
  timeOf,
  type ContentFolder,
  type Holdings,
  type Inspected,
  type ListedUnit,
  type ListRange,
  type Unit,
} from '../engine/holdings.ts';
import { ALL_KEYS, KeyRange } from '../engine/key-range.ts';
import type { ContentRecord, Store } from '../engine/ports.ts';
import { escapeUpperCase } from './module-path.ts';
import { keyOf, parseGoPath, pathOf, type FileExtension } from './names.ts';
import { goVersionPurgeable, parseGoName, type GoPurgeParts } from './purge.ts';
import { referredBy } from './referred-by.ts';
import { EXTENSIONS, filesFolder, type StoredFile } from './stored-files.ts';
import { escapeVersion } from './version.ts';
import { modules } from './walk.ts';

/** Records read at once. */
const READS = 16;
const FILE = /^go\/.*\/@v\/[^/]*\.(?:info|mod|zip)$/;

/** Files of a version, with what is kept beside each. */
interface StoredVersion {
  readonly module: string;
  readonly version: string;
  readonly records: ReadonlyMap<FileExtension, ContentRecord>;
}

/** What is counted as used where a key of this protocol is asked for: its version. Undefined for any other key. */
export const goUsedAs = (key: string): string | undefined =>
  key.startsWith('go/') ? key.slice(0, key.lastIndexOf('.')) : undefined;

export class GoHoldings implements Holdings {
  readonly #parts: GoPurgeParts;
  readonly #store: Store;

  constructor(parts: GoPurgeParts) {
    this.#parts = parts;
    this.#store = parts.store;
  }

  async *units(): AsyncGenerator<Unit> {
    for await (const version of this.#versions(ALL_KEYS, () => true)) yield this.#unit(version);
  }

  async *contents(): AsyncGenerator<ContentFolder> {
    for await (const { module, files } of modules(this.#store))
      yield { end: `${filesFolder(module)}/\uffff`, keys: files.map(({ key }) => key) };
  }

  /** A file is owned by its name. */
  // eslint-disable-next-line @typescript-eslint/require-await
  async *strays(): AsyncGenerator<Unit> {
    yield* [];
  }

  async *list({ prefix, after }: ListRange): AsyncGenerator<ListedUnit> {
    const last = after === '' ? undefined : parseGoName(after);
    const folder = last === undefined ? '' : folderOf(last.module);
    const element = elementOf(last?.version ?? '');
    // the folder of the last one comes again, for what stands behind it there
    const range = new KeyRange(escapeUpperCase(prefix.replace(/@.*$/s, '')), folder.slice(0, -1));
    const isWanted = (module: string, version: string) =>
      `${module}@${version}`.startsWith(prefix) &&
      (folderOf(module) !== folder || elementOf(version) > element);
    for await (const version of this.#versions(range, isWanted)) {
      const records = [...version.records.values()];
      yield {
        ...this.#unit(version),
        bytes: records.reduce((sum, { size }) => sum + size, 0),
        details: { module: version.module, version: version.version },
      };
    }
  }

  async inspect(text: string): Promise<Inspected | undefined> {
    const { module, version } = parseGoName(text);
    if (version === undefined)
      throw new LarderError('invalid', 'give a version too, as in example.com/m@v1.2.3');
    const found = await this.#version(module, version, EXTENSIONS);
    if (found.records.size === 0) return undefined;
    const files = [...found.records].map(([name, { extra, ...record }]) => ({
      name,
      ...record,
      ...extra,
    }));
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const complete = files.length === EXTENSIONS.length;
    const details = {
      module,
      version,
      bytes,
      complete,
      files,
      referredBy: await referredBy(this.#store, module, version),
    };
    return { unit: this.#unit(found), details };
  }

  nameOf(key: string): string | undefined {
    if (!FILE.test(key)) return undefined;
    const name = parseGoPath(key.slice('go'.length));
    return name?.kind === 'file' ? `go:${name.module}@${name.version} .${name.ext}` : undefined;
  }

  async *#versions(
    range: KeyRange,
    isWanted: (module: string, version: string) => boolean,
  ): AsyncGenerator<StoredVersion> {
    for await (const { module, files } of modules(this.#store, range)) {
      const byVersion = Map.groupBy(files, ({ name }) => name.version);
      const sorted = [...byVersion].sort(([a], [b]) => (elementOf(a) < elementOf(b) ? -1 : 1));
      for (let at = 0; at < sorted.length; at += READS) {
        const some = sorted.slice(at, at + READS).filter(([version]) => isWanted(module, version));
        yield* await mapBounded(some, READS, ([version, ofVersion]) =>
          this.#version(module, version, extensionsOf(ofVersion)),
        );
      }
    }
  }

  async #version(
    module: string,
    version: string,
    extensions: readonly FileExtension[],
  ): Promise<StoredVersion> {
    const records = new Map<FileExtension, ContentRecord>();
    for (const ext of extensions) {
      const record = await this.#store.record(keyOf({ kind: 'file', module, version, ext }));
      if (record) records.set(ext, record);
    }
    return { module, version, records };
  }

  #unit({ module, version, records }: StoredVersion): Unit {
    const name = `go:${module}@${version}`;
    return {
      name,
      pins: [name, `go:${module}`],
      keys: EXTENSIONS.map((ext) => keyOf({ kind: 'file', module, version, ext })),
      storedAt: Math.max(0, ...[...records.values()].map(timeOf)),
      purgeable: () => goVersionPurgeable(this.#parts, module, version),
    };
  }
}

/** Below `go/`, with a slash at its end. */
const folderOf = (module: string): string =>
  pathOf({ kind: 'list', module }).slice(1, -'list'.length);

/** As a version stands in its folder. */
const elementOf = (version: string): string => escapeVersion(version) ?? version;

const extensionsOf = (files: readonly StoredFile[]): FileExtension[] =>
  files.map(({ name }) => name.ext);
