// What a verb says: results on standard output, everything else on standard error, so that results can be piped on.

import { Pace, type Steps } from './pace.ts';

/** Where nobody watches, a line each so many milliseconds; where somebody does, a new one in place of the last. */
const PLAIN_MS = 5000;
const WATCHED_MS = 100;

export interface Terminal {
  /** A line of the result. */
  say(line: string): void;
  /** A line for whoever watches. */
  tell(line: string): void;
  /** How far a long work is; the last word on it is what is said next. */
  progress(now: Steps): void;
  /** Resolves when all of the result is written, or nobody takes it any more: who says much waits for it. */
  flushed(): Promise<void>;
  /** Standard input. */
  input(): AsyncIterable<Uint8Array>;
  readonly inputIsTerminal: boolean;
}

export function openTerminal(
  program: Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'>,
  now: () => number = Date.now,
): Terminal {
  const { stdout, stderr } = program;
  const pace = new Pace(now);
  let shown = false;
  let last = now();
  const clear = () => {
    if (shown) stderr.write('\r\x1b[K');
    shown = false;
  };
  return {
    say(line) {
      clear();
      stdout.write(`${line}\n`);
    },
    tell(line) {
      clear();
      stderr.write(`${line}\n`);
    },
    progress(steps) {
      pace.see(steps);
      const { isTTY } = stderr;
      if (now() - last < (isTTY ? WATCHED_MS : PLAIN_MS)) return;
      last = now();
      stderr.write(isTTY ? `\r\x1b[K${pace.text()}` : `${pace.text()}\n`);
      shown = isTTY;
    },
    flushed() {
      if (stdout.writableLength === 0 || stdout.destroyed) return Promise.resolve();
      return new Promise((resolve) => {
        stdout.write('', () => {
          resolve();
        });
      });
    },
    input: () => program.stdin,
    get inputIsTerminal() {
      return program.stdin.isTTY;
    },
  };
}
