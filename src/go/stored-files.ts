// What is stored of one module.

import type { Store } from '../engine/ports.ts';
import { keyOf, pathOf, type FileExtension, type GoFileName } from './names.ts';
import { unescapeVersion } from './version.ts';

export const EXTENSIONS: readonly FileExtension[] = ['info', 'mod', 'zip'];

export interface StoredFile {
  readonly name: GoFileName;
  readonly key: string;
}

/** The folder of a module's files. No other module's stand in it: `@v` is no element of a module path. */
export const filesFolder = (module: string): string =>
  `go${pathOf({ kind: 'list', module }).slice(0, -'/list'.length)}`;

/** The folder of what was said of a module: its list, and what queries stand for. No other module's answers stand in it. */
export const answersFolder = (module: string): string =>
  keyOf({ kind: 'list', module }).slice(0, -'/list'.length);

/** All files of a module's versions, in the order of their names. Throws LarderError `store_failed`. */
export async function filesOf(store: Pick<Store, 'list'>, module: string): Promise<StoredFile[]> {
  return (await store.list(filesFolder(module))).flatMap((file) => {
    // the derived list is none
    const ext = EXTENSIONS.find((one) => file.endsWith(`.${one}`));
    const version = ext && unescapeVersion(file.slice(0, -ext.length - 1));
    if (ext === undefined || version === undefined) return [];
    const name: GoFileName = { kind: 'file', module, version, ext };
    return [{ name, key: keyOf(name) }];
  });
}

/** Versions of which the store has all three files. Throws LarderError `store_failed`. */
export async function completeVersions(
  store: Pick<Store, 'list'>,
  module: string,
): Promise<string[]> {
  const versions = Map.groupBy(await filesOf(store, module), ({ name }) => name.version);
  return [...versions]
    .filter(([, files]) => files.length === EXTENSIONS.length)
    .map(([version]) => version);
}
