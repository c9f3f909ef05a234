// Finds names in a module zip that cannot lie side by side on every file system, as golang.org/x/mod/zip does.

import { fileElementProblem, quote } from './module-path.ts';

interface Folder {
  /** As its first mention spells it. */
  readonly name: string;
  /** By folded name: a folder, or a file as it is spelled. */
  readonly children: Map<string, Folder | string>;
}

/**
 * The names of a zip as a tree: each element is looked at once, so a long path costs no more than its length,
 * and the many that share a folder cost little.
 */
export class ZipNames {
  /** Files and folders, those too that are only part of a path. */
  count = 0;
  readonly #root: Folder = { name: '', children: new Map() };
  #lastPath: string | undefined;
  #lastFolder: Folder = this.#root;

  /** Adds a slash-separated path without prefix. Returns why it may not stand in the zip, as the end of a sentence, or undefined. */
  add(path: string, isFolder: boolean): string | undefined {
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? this.#root : this.#enter(path.slice(0, slash));
    if (typeof parent === 'string') return parent;
    const base = path.slice(slash + 1);
    if (!isFolder) return this.#addFile(parent, base);
    const folder = this.#enterChild(parent, base);
    return typeof folder === 'string' ? folder : undefined;
  }

  /** The folder of a path, made where it is new, or why it cannot be. */
  #enter(path: string): Folder | string {
    if (path === this.#lastPath) return this.#lastFolder;
    let folder: Folder | string = this.#root;
    for (let start = 0; start <= path.length;) {
      const slash = path.indexOf('/', start);
      const end = slash < 0 ? path.length : slash;
      folder = this.#enterChild(folder, path.slice(start, end));
      if (typeof folder === 'string') return folder;
      start = end + 1;
    }
    this.#lastPath = path;
    this.#lastFolder = folder;
    return folder;
  }

  #enterChild(parent: Folder, name: string): Folder | string {
    const folded = foldCase(name);
    const there = parent.children.get(folded);
    if (there === undefined) {
      const problem = fileElementProblem(name);
      if (problem !== undefined) return problem;
      const folder: Folder = { name, children: new Map() };
      parent.children.set(folded, folder);
      this.count++;
      return folder;
    }
    if (typeof there === 'string') {
      return there === name ? `${quote(name)} is both a file and a folder` : collision(there, name);
    }
    return there.name === name ? there : collision(there.name, name);
  }

  #addFile(parent: Folder, name: string): string | undefined {
    const folded = foldCase(name);
    const there = parent.children.get(folded);
    if (there === undefined) {
      const problem = fileElementProblem(name);
      if (problem !== undefined) return problem;
      parent.children.set(folded, name);
      this.count++;
      return undefined;
    }
    if (typeof there !== 'string') {
      return there.name === name
        ? `${quote(name)} is both a file and a folder`
        : collision(there.name, name);
    }
    return there === name ? 'the zip has this file more than once' : collision(there, name);
  }
}

const collision = (one: string, other: string): string =>
  `${quote(one)} and ${quote(other)} differ in upper and lower case only`;

/**
 * The same text for all that are equal under Unicode's simple case folding (Go's strings.EqualFold), in lower case
 * where it is ASCII.
 */
export function foldCase(text: string): string {
  if (!/[^\0-@[-\x7f]/.test(text)) return text;
  if (!/[^\0-\x7f]/.test(text)) return text.toLowerCase();
  let folded = '';
  for (const character of text) folded += foldCharacter(character);
  return folded;
}

function foldCharacter(character: string): string {
  // Upper case of its own, but equal to no i.
  if (character === 'ı') return character;
  const upper = single(character.toUpperCase()) ?? character;
  return single(upper.toLowerCase()) ?? upper;
}

/** The text when it is one character: simple folding knows no mapping to several. */
const single = (text: string): string | undefined =>
  text.length === String.fromCodePoint(text.codePointAt(0) ?? 0).length ? text : undefined;
