// JSON logs on stdout by pino, one line each. Lines are gathered and written in the background, so that a log line costs a
// request no system call; they are flushed a few times a second and when the process exits.

import { destination, pino } from 'pino';
import type { Level, Logger } from 'pino';

export type { Logger } from 'pino';

/** Bytes after which lines are written without waiting for the next flush. */
const enough = 8192;
/** Bytes that wait at most while whoever reads stdout does not: lines past it are dropped, and their number is logged. */
const tooMany = 16 * 1024 * 1024;
const flushEveryMs = 200;

/**
 * A logger that writes to stdout, or to the file descriptor or path given. Credentials in URLs and in authorization
 * headers are blotted out of every line, wherever in it they are.
 */
export function createLogger(level: Level | 'silent', target: number | string = 1): Logger {
  const out = destination({
    dest: target,
    sync: false,
    minLength: enough,
    maxLength: tooMany,
    periodicFlush: flushEveryMs,
  });
  const lines = new Lines((text) => out.write(text));
  const logger = pino(
    {
      level,
      base: null,
      timestamp: isoTime(),
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line: string) {
        lines.write(line);
      },
      flush(done?: (error?: Error) => void) {
        lines.handOver();
        out.flush(done);
      },
    },
  );
  reportDropped(out, logger);
  return logger;
}

/**
 * Hands on in one piece what is logged in one turn of the event loop: pino's destination takes longer over a write than
 * pino over a line.
 */
class Lines {
  readonly #next: (text: string) => void;
  #text = '';

  constructor(next: (text: string) => void) {
    this.#next = next;
    allLines.push(this);
  }

  write(line: string): void {
    if (this.#text === '') setImmediate(this.handOver);
    this.#text += line;
    if (this.#text.length > enough) this.handOver();
  }

  readonly handOver = (): void => {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#next(withoutSecrets(text));
  };
}

const allLines: Lines[] = [];
// Comes before the destination's own listener, which writes what it was handed.
process.on('exit', () => {
  for (const lines of allLines) lines.handOver();
});

interface Droppy {
  on(event: 'drop', listener: (text: string) => void): unknown;
  on(event: 'drain', listener: () => void): unknown;
}

function reportDropped(out: Droppy, logger: Logger): void {
  let dropped = 0;
  out.on('drop', (text) => {
    dropped += text.split('\n').length - 1;
  });
  out.on('drain', () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    logger.warn({ lines }, 'log lines were dropped: whoever reads stdout is too slow');
  });
}

const urlCredentials = /(:\/\/)[^\s/@"\\]*@/g;
const headerCredentials = /("(?:proxy-)?authorization":)(?:"(?:[^"\\]|\\.)*"|\[[^\]]*\])/gi;
const spokenCredentials = /\b(Bearer|Basic) [A-Za-z0-9+/=._~-]{8,}/gi;

/** Lines of JSON without credentials. */
function withoutSecrets(lines: string): string {
  let clean = lines;
  if (clean.includes('://')) clean = clean.replace(urlCredentials, '$1***@');
  if (clean.includes('uthorization') || clean.includes('earer ') || clean.includes('asic '))
    clean = clean.replace(headerCredentials, '$1"***"').replace(spokenCredentials, '$1 ***');
  return clean;
}

/** RFC 3339 with milliseconds, made once a millisecond however many lines there are in it. */
function isoTime(): () => string {
  let at = 0;
  let member = '';
  return () => {
    const now = Date.now();
    if (now !== at) {
      at = now;
      member = `,"time":"${new Date(now).toISOString()}"`;
    }
    return member;
  };
}
