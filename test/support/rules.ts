// Files of rules, and names as clients may write them.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from './tmp.ts';

/** A file of rules, and what writes it anew. */
export function rulesFile(text = ''): { file: string; write: (text: string) => void } {
  const file = join(tempDir(), 'rules.yaml');
  const write = (content: string) => {
    writeFileSync(file, content);
  };
  write(text);
  return { file, write };
}

/** As a module's name stands in a path. */
export const escape = (text: string) =>
  text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
/** The same, in percent-encoding where nothing needs it. */
export const encodeAll = (text: string) =>
  text.replace(/[a-z!]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
