// What `larder warm` is to bring, each name once: out of go.sum files, options, and lists of names.

import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { fileReason } from '../app/start-error.ts';
import { LarderError } from '../engine/errors.ts';
import { parseGoSum, type WantedVersion } from '../go/go-sum.ts';
import { parseVersion, versionName } from '../go/warm.ts';
import { linesOf } from './lines.ts';
import { parseName, type Name } from './names.ts';
import type { Terminal } from './terminal.ts';

/** Bytes of a line with a name. */
const MAX_LINE = 64 * 1024;
/** Bad lines that are told. */
const MAX_TOLD = 20;

export interface WarmSources {
  readonly goSums: readonly string[];
  readonly go: readonly string[];
  readonly oci: readonly string[];
  /** Files of names, `-` for standard input. */
  readonly files: readonly string[];
}

export interface Wanted<I> {
  /** In the order in which they were named; a version of which more was wanted elsewhere has all of that. */
  readonly versions: readonly WantedVersion[];
  readonly images: readonly I[];
}

/**
 * Reads all that is named, and judges it, before anything is asked. `parseImage` throws LarderError `invalid` for what is no image.
 * Throws that, with file and line where there are such, for the first twenty bad lines.
 */
export async function readWanted<I extends { readonly name: string }>(
  { goSums, go, oci, files }: WarmSources,
  parseImage: (text: string) => I,
  terminal: Terminal,
): Promise<Wanted<I>> {
  const versions = new Map<string, WantedVersion>();
  const images = new Map<string, I>();
  const want = (version: WantedVersion) => {
    const name = versionName(version);
    if (version.files.length > (versions.get(name)?.files.length ?? 0)) versions.set(name, version);
  };
  const add = ({ protocol, text }: Name) => {
    if (protocol === 'go') want(parseVersion(text));
    else {
      const image = parseImage(text);
      images.set(image.name, image);
    }
  };
  for (const file of goSums) parseGoSum((await readNamed(file)).toString(), file).forEach(want);
  for (const text of go) add({ protocol: 'go', text });
  for (const text of oci) add({ protocol: 'oci', text });
  for (const file of files)
    await addLines(file, terminal, (line) => {
      add(parseName(line));
    });
  return { versions: [...versions.values()], images: [...images.values()] };
}

async function addLines(
  file: string,
  terminal: Terminal,
  add: (line: string) => void,
): Promise<void> {
  const input = file === '-' ? terminal.input() : Readable.from([await readNamed(file)]);
  const problems: string[] = [];
  let number = 0;
  for await (const line of linesOf(input, MAX_LINE)) {
    number++;
    if (line.trim() === '') continue;
    try {
      add(line.trim());
    } catch (error) {
      if (!(error instanceof LarderError)) throw error;
      if (problems.length === MAX_TOLD) break;
      problems.push(`${file}:${String(number)}: ${error.message}`);
    }
  }
  if (problems.length > 0) throw new LarderError('invalid', problems.join('\n'));
}

async function readNamed(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new LarderError('invalid', `${file} cannot be read: ${fileReason(error)}`, {
      cause: error,
    });
  }
}
