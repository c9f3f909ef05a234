// What a purge of a module or of one version takes: its files, and whatever was said of the module. The feed of complete
// versions tells what once was, and stays.

import { LarderError } from '../engine/errors.ts';
import type { Store } from '../engine/ports.ts';
import type { PlannedContent, Purgeable, PurgePlan } from '../engine/purge-plan.ts';
import { checkModulePath } from './module-path.ts';
import { keyOf, parseGoPath, pathOf } from './names.ts';
import { sortVersions } from './semver.ts';
import { answersFolder, EXTENSIONS, filesFolder, filesOf } from './stored-files.ts';
import type { TreeList } from './tree-list.ts';
import { checkVersion } from './version.ts';

export interface GoPurgeParts {
  readonly store: Store;
  readonly treeList: TreeList;
}

/** `example.com/m`, or `example.com/m@v1.2.3`. Throws LarderError `invalid`. */
export function goPurgeable({ store, treeList }: GoPurgeParts, text: string): Purgeable {
  const { module, version } = parseGoName(text);
  const answers = answersFolder(module);
  const latest = keyOf({ kind: 'latest', module });
  const keys =
    version === undefined
      ? []
      : EXTENSIONS.map((ext) => keyOf({ kind: 'file', module, version, ext }));
  return {
    name: version === undefined ? `go:${module}` : `go:${module}@${version}`,
    scope: {
      keys: [...keys, latest],
      // what was said of the module may have led to the version: a branch, or the list
      folders: version === undefined ? [filesFolder(module), answers] : [answers],
    },
    async plan(): Promise<PurgePlan> {
      const stored = await filesOf(store, module);
      const going = stored.filter(({ name }) => version === undefined || name.version === version);
      const said = await store.list(answers);
      return {
        names: sortVersions(new Set(going.map(({ name }) => name.version))).map(
          (one) => `go:${module}@${one}`,
        ),
        documents: [[...said.map((name) => `${answers}/${name}`), latest]],
        contents: going.map(({ key }) => contentOf(key)),
        after: () => treeList.write(module),
      };
    },
  };
}

/** A version as one that is evicted: what was said of the module stays, as nothing of it is wrong. */
export function goVersionPurgeable(
  { store, treeList }: GoPurgeParts,
  module: string,
  version: string,
): Purgeable {
  const keys = EXTENSIONS.map((ext) => keyOf({ kind: 'file', module, version, ext }));
  return {
    name: `go:${module}@${version}`,
    scope: { keys, folders: [] },
    async plan(): Promise<PurgePlan> {
      const records = await Promise.all(keys.map((key) => store.record(key)));
      const stored = keys.filter((_, i) => records[i] !== undefined);
      return {
        names: stored.length > 0 ? [`go:${module}@${version}`] : [],
        documents: [],
        contents: stored.map(contentOf),
        after: () => treeList.write(module),
      };
    },
  };
}

/** Nothing but its name owns a file. */
const contentOf = (key: string): PlannedContent => ({ key, mayGo: () => Promise.resolve(true) });

/** `example.com/m`, or `example.com/m@v1.2.3`. Throws LarderError `invalid` with a sentence. */
export function parseGoName(text: string): { module: string; version: string | undefined } {
  const at = text.indexOf('@');
  const module = at < 0 ? text : text.slice(0, at);
  const version = at < 0 ? undefined : text.slice(at + 1);
  const problem = version === undefined ? checkModulePath(module) : checkVersion(module, version);
  if (problem !== undefined) throw new LarderError('invalid', problem);
  // a name too long to be kept under is refused where clients ask by it
  parseGoPath(
    pathOf(
      version === undefined
        ? { kind: 'list', module }
        : { kind: 'file', module, version, ext: 'mod' },
    ),
  );
  return { module, version };
}
