// The names that a verb is to work on: its arguments, or lines of standard input, which may be more than fit in memory.

import { Readable } from 'node:stream';
import { LarderError } from '../engine/errors.ts';
import { linesOf } from './lines.ts';
import type { Terminal } from './terminal.ts';

/** Bytes of a line with a name. */
const MAX_LINE = 64 * 1024;
/** Lines that are read ahead, so that of a usual list is known how long it is. */
const READ_AHEAD = 50_000;

export interface NamesGiven extends AsyncIterable<string> {
  /** How many there are; undefined while that is not known. */
  readonly total: number | undefined;
}

/**
 * `-`, or no arguments where standard input is no terminal: a name a line, as it stands there; empty lines are none. Undefined
 * when there is nothing to read. Throws LarderError `invalid` for `-` beside others; reading throws it for an endless line.
 */
export function namesGiven(args: readonly string[], terminal: Terminal): NamesGiven | undefined {
  if (args.includes('-') && args.length > 1)
    throw new LarderError('invalid', '- stands alone: names are arguments, or lines of its input');
  if (args.length > 0 && args[0] !== '-')
    return { total: args.length, [Symbol.asyncIterator]: () => Readable.from(args).iterator() };
  if (args.length === 0 && terminal.inputIsTerminal) return undefined;
  let total: number | undefined;
  const lines = async function* () {
    let count = 0;
    for await (const line of linesOf(terminal.input(), MAX_LINE)) {
      if (line.trim() === '') continue;
      count++;
      yield line;
    }
    total = count;
  };
  return {
    get total() {
      return total;
    },
    [Symbol.asyncIterator]: () => Readable.from(lines(), { highWaterMark: READ_AHEAD }).iterator(),
  };
}
