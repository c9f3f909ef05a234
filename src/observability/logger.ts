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
  const lines = new Lines(out);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: isoTime(),
      formatters: { level: (label) => ({ level: label }) },
    },
    lines,
  );
  reportDropped(out, logger);
  return logger;
}

interface Output {
  write(text: string): unknown;
  flush(done?: (error?: Error) => void): void;
}

/**
 * Gathers lines as bytes before the destination gets them: it takes longer over a write than pino over a line, and as
 * so many strings they would be copied by every collection of the heap until they are out.
 */
class Lines {
  readonly #out: Output;
  readonly #buffer = Buffer.allocUnsafeSlow(2 * enough);
  #used = 0;

  constructor(out: Output) {
    this.#out = out;
    setInterval(() => {
      this.handOver();
    }, flushEveryMs).unref();
    if (gathered.push(this) === 1) process.prependListener('exit', handAllOver);
  }

  write(text: string): void {
    const line = withoutSecrets(text);
    // a character of a string has at most three bytes
    if (3 * line.length > this.#buffer.length - this.#used) this.handOver();
    if (3 * line.length > this.#buffer.length) {
      this.#out.write(line);
      return;
    }
    this.#used += this.#buffer.write(line, this.#used);
    if (this.#used >= enough) this.handOver();
  }

  flush(done?: (error?: Error) => void): void {
    this.handOver();
    this.#out.flush(done);
  }

  handOver(): void {
    if (this.#used === 0) return;
    const text = this.#buffer.toString('utf8', 0, this.#used);
    this.#used = 0;
    this.#out.write(text);
  }
}

const gathered: Lines[] = [];

/** Before the destination's own last flush, which runs at the same event. */
function handAllOver(): void {
  for (const lines of gathered) lines.handOver();
}

interface Droppy {
  on(event: 'drop' | 'drain', listener: (text: string) => void): unknown;
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

/** A line of JSON without credentials. */
function withoutSecrets(line: string): string {
  let clean = line;
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
