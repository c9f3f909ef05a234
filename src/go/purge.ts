// What a purge of a module or of one version takes: its files, and whatever was said of the module. The feed of complete
// versions tells what once was, and stays.

import { LarderError } from '../engine/errors.ts';
import type { Store } from '../engine/ports.ts';
import type { PlannedContent, Purgeable, PurgePlan } from '../engine/purge-plan.ts';
import { checkModulePath } from './module-path.ts';
import { keyOf, parseGoPath, pathOf, type FileExtension } from './names.ts';
import { sortVersions } from './semver.ts';
import type { TreeList } from './tree-list.ts';
import { checkVersion, unescapeVersion } from './version.ts';

const EXTENSIONS: readonly FileExtension[] = ['info', 'mod', 'zip'];

export interface GoPurgeParts {
  readonly store: Store;
  readonly treeList: TreeList;
}

/** `example.com/m`, or `example.com/m@v1.2.3`. Throws LarderError `invalid`. */
export function goPurgeable({ store, treeList }: GoPurgeParts, text: string): Purgeable {
  const { module, version } = parseGoName(text);
  const { files, answers, latest } = placesOf(module);
  const keys =
    version === undefined ? [] : EXTENSIONS.map((ext) => keyOfFile(module, version, ext));
  return {
    name: version === undefined ? `go:${module}` : `go:${module}@${version}`,
    scope: {
      keys: [...keys, latest],
      // what was said of the module may have led to the version: a branch, or the list
      folders: version === undefined ? [files, answers] : [answers],
    },
    async plan(): Promise<PurgePlan> {
      const stored = (await store.list(files)).flatMap(fileOf);
      const going = stored.filter((file) => version === undefined || file.version === version);
      const said = await store.list(answers);
      return {
        names: sortVersions(new Set(going.map((file) => file.version))).map(
          (one) => `go:${module}@${one}`,
        ),
        documents: [[...said.map((name) => `${answers}/${name}`), latest]],
        contents: going.map((file) => contentOf(keyOfFile(module, file.version, file.ext))),
        after: () => treeList.write(module),
      };
    },
  };
}

/** No other module's files or answers stand in these folders: `@v` is no element of a module path. */
function placesOf(module: string) {
  const list = keyOf({ kind: 'list', module });
  return {
    files: `go${pathOf({ kind: 'list', module }).slice(0, -'/list'.length)}`,
    answers: list.slice(0, -'/list'.length),
    latest: keyOf({ kind: 'latest', module }),
  };
}

const keyOfFile = (module: string, version: string, ext: FileExtension): string =>
  keyOf({ kind: 'file', module, version, ext });

/** Nothing but its name owns a file. */
const contentOf = (key: string): PlannedContent => ({ key, mayGo: () => Promise.resolve(true) });

/** The version and kind of a file by its name in the store; the derived list is none. */
function fileOf(name: string): { version: string; ext: FileExtension }[] {
  const ext = EXTENSIONS.find((one) => name.endsWith(`.${one}`));
  const version = ext && unescapeVersion(name.slice(0, -ext.length - 1));
  return ext !== undefined && version !== undefined ? [{ version, ext }] : [];
}

function parseGoName(text: string): { module: string; version: string | undefined } {
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
