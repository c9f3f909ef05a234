// What a verb says: results on standard output, everything else on standard error, so that results can be piped on.

import type { Progress } from '../references/jobs.ts';

/** Where nobody watches, a line each so many milliseconds. */
const PLAIN_MS = 5000;

export interface Terminal {
  /** A line of the result. */
  say(line: string): void;
  /** A line for whoever watches. */
  tell(line: string): void;
  /** How far a long work is; the last word on it is what is said next. */
  progress(now: Progress): void;
}

export function openTerminal(
  { stdout, stderr }: Pick<NodeJS.Process, 'stdout' | 'stderr'>,
  now: () => number = Date.now,
): Terminal {
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
    progress({ done, total }) {
      const text = `${String(done)} of ${String(total)} steps`;
      if (stderr.isTTY) {
        stderr.write(`\r\x1b[K${text}`);
        shown = true;
      } else if (now() - last >= PLAIN_MS) {
        stderr.write(`${text}\n`);
        last = now();
      }
    },
  };
}
