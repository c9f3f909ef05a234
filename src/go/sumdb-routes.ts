import type { IncomingMessage, ServerResponse } from 'node:http';
import { LarderError } from '../engine/errors.ts';
import { memoryBody } from '../engine/memory-body.ts';
import type { RequestContext } from '../http/context.ts';
import { serve, type ClientSignal } from '../http/serve.ts';
import { sendText } from './errors.ts';
import type { CachedSumdb } from './sumdb-source.ts';
import type { SumdbClient } from './sumdb/client.ts';
import { parseSumdbPath, type SumdbPath } from './sumdb/paths.ts';
import { isFull } from './sumdb/tile.ts';

export interface SumdbProxied {
  readonly name: string;
  readonly client: SumdbClient;
  readonly source: CachedSumdb;
}

const IMMUTABLE = 'public, max-age=31536000, immutable';

/** `/sumdb/<name>/…`: the configured database, its answers verified on their way (go.dev/design/25530-sumdb). */
export class SumdbRoutes {
  readonly #database: SumdbProxied | undefined;
  readonly #exempt: (module: string) => boolean;

  constructor(database: SumdbProxied | undefined, exempt: (module: string) => boolean) {
    this.#database = database;
    this.#exempt = exempt;
  }

  /** Throws LarderError. */
  async serve(
    req: IncomingMessage,
    res: ServerResponse,
    path: string,
    context: RequestContext,
    client: ClientSignal,
    fetch: boolean,
  ): Promise<void> {
    const database = this.#database;
    const prefix = `/sumdb/${database?.name ?? ''}/`;
    const decoded = decode(path);
    if (database === undefined || !decoded.startsWith(prefix))
      throw new LarderError('not_found', 'this checksum database is not proxied here', {
        outcome: 'bypass',
      });
    const wanted = parseSumdbPath(decoded.slice(prefix.length));
    if (wanted === undefined)
      throw new LarderError('invalid', 'this is no path of a checksum database');
    if (wanted.kind === 'supported') {
      sendText(res, context, 200, 'supported', req.method === 'HEAD');
      return;
    }
    if (wanted.kind === 'lookup' && this.#exempt(wanted.module)) {
      throw new LarderError('denied', 'this name is never looked up in a checksum database');
    }
    const held = await database.source.held(`/${decoded.slice(prefix.length)}`);
    if (held === undefined && !fetch)
      throw new LarderError(
        'not_cached',
        'not in the store, and nothing may be fetched for this request',
      );
    const bytes = held ?? (await this.#ask(database, wanted, client.signal));
    context.outcome = held ? 'hit' : 'miss';
    const lasting = wanted.kind === 'lookup' || (wanted.kind === 'tile' && isFull(wanted.tile));
    await serve(req, res, context, client, {
      body: memoryBody(bytes),
      record: undefined,
      contentType:
        wanted.kind === 'tile' ? 'application/octet-stream' : 'text/plain; charset=utf-8',
      cacheControl: lasting ? IMMUTABLE : 'public, max-age=60',
    });
  }

  #ask(
    { client }: SumdbProxied,
    wanted: Exclude<SumdbPath, { kind: 'supported' }>,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    switch (wanted.kind) {
      case 'latest':
        return client.latest(signal);
      case 'lookup':
        return client.record(wanted.module, wanted.version, signal);
      case 'tile':
        return client.tile(wanted.tile, signal);
    }
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new LarderError('invalid', 'the percent-encoding of this path is broken', { cause });
  }
}
