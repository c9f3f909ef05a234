// What README.md tells container clients to write, so that tests do what a reader does.

import { readFileSync } from 'node:fs';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The address that stands for the reader's own. */
const PLACEHOLDER = 'larder.example.com:3000';

/**
 * The code block that follows the first mention of `words`, as it stands there but for Larder's own host and port.
 * Throws when README.md has no such words, or no code after them.
 */
export function readmeBlock(words: string, host: string): string {
  const at = readme.indexOf(words);
  const block = /^```\w*\n([^]*?)^```$/m.exec(readme.slice(at))?.[1];
  if (at < 0 || block === undefined) throw new Error(`README.md shows no code after "${words}".`);
  return block.replaceAll(PLACEHOLDER, host);
}

/** The line of README.md's code that begins like this, cut into words. */
export function readmeCommand(start: string, host: string): string[] {
  const line = readme.split('\n').find((one) => one.startsWith(start));
  if (line === undefined) throw new Error(`README.md shows no command "${start} …".`);
  return line.replaceAll(PLACEHOLDER, host).split(' ');
}
