// The feed of versions in the order in which they became complete here, as index.golang.org has one.
// Each entry is a document of its own under the time of its writing, so that entries need no shared file.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { hash } from 'node:crypto';
import { LarderError } from '../engine/errors.ts';
import type { Store } from '../engine/ports.ts';
import type { RequestContext } from '../http/context.ts';
import { sendSmall } from '../http/send-small.ts';
import type { GoFileName } from './names.ts';

const FOLDER = 'answers/index';
const MAX_LIMIT = 2000;
const SINCE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

export class VersionIndex {
  readonly #store: Store;
  readonly #now: () => number;
  #last = 0;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Appends a version that has just become complete. One call after another. Throws LarderError `store_failed`. */
  async append({ module, version }: GoFileName): Promise<void> {
    this.#last = Math.max(this.#last + 1, this.#now());
    const time = new Date(this.#last).toISOString();
    const line = `${JSON.stringify({ Path: module, Version: version, Timestamp: time })}\n`;
    const name = `${time}-${checksumOf(line)}`;
    await this.#store.writeDocument(`${FOLDER}/${time.slice(0, 10)}/${name}`, Buffer.from(line));
  }

  /** Answers `GET /index?since=&limit=` with the versions that are `shown`. Throws LarderError. */
  async serve(
    req: IncomingMessage,
    res: ServerResponse,
    context: RequestContext,
    shown: (target: { module: string; version: string }) => boolean,
  ): Promise<void> {
    const query = new URLSearchParams((req.url ?? '').split('?')[1] ?? '');
    const since = sinceOf(query.get('since'));
    const limit = limitOf(query.get('limit'));
    const lines: string[] = [];
    const days = await this.#store.list(FOLDER);
    for (const day of days) {
      if (lines.length >= limit || day.slice(0, 10) < since.slice(0, 10)) continue;
      for (const entry of await this.#store.list(`${FOLDER}/${day.slice(0, 10)}`)) {
        if (lines.length >= limit) break;
        if (entry.slice(0, since.length) < since) continue;
        const document = await this.#store.readDocument(`${FOLDER}/${day.slice(0, 10)}/${entry}`);
        // what is not as it was written tells nothing
        const line = document && isEntry(entry, document) && Buffer.from(document).toString();
        if (line && shown(entryOf(line))) lines.push(line);
      }
    }
    const headers = { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' };
    sendSmall(res, context, { headers }, lines.join(''), req.method === 'HEAD');
  }
}

function entryOf(line: string): { module: string; version: string } {
  const { Path: module, Version: version } = JSON.parse(line) as { Path: string; Version: string };
  return { module, version };
}

/** Of a line, which is the end of its name; names that were made before it was are shorter. */
const checksumOf = (line: string | Uint8Array): string => hash('sha256', line).slice(0, 16);

/** Whether an entry below `answers/index/<day>` is as it was written, as far as its name tells. */
export function isEntry(name: string, line: Uint8Array): boolean {
  const end = name.slice(name.indexOf('Z-') + 2);
  return end.length === 8 || end === checksumOf(line);
}

function sinceOf(text: string | null): string {
  if (text === null || text === '') return '';
  const time = Date.parse(text);
  if (SINCE.test(text) && !Number.isNaN(time)) return new Date(time).toISOString();
  throw new LarderError(
    'invalid',
    'since must be a time as RFC 3339 writes it, such as 2026-01-02T15:04:05Z',
  );
}

function limitOf(text: string | null): number {
  if (text === null || text === '') return MAX_LIMIT;
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text), MAX_LIMIT);
  throw new LarderError('invalid', `limit must be a number, at most ${String(MAX_LIMIT)}`);
}
