import type { IncomingMessage, ServerResponse } from 'node:http';
import { LarderError } from '../engine/errors.ts';
import { memoryBody } from '../engine/memory-body.ts';
import { notCached, type Ask } from '../engine/pull-through.ts';
import type { RequestContext } from '../http/context.ts';
import { serve, type ClientSignal, type Representation } from '../http/serve.ts';
import { sendText } from './errors.ts';
import type { GoPolicy } from './rules.ts';
import type { CachedSumdb } from './sumdb-source.ts';
import type { SumdbClient } from './sumdb/client.ts';
import { parseSumdbPath, type SumdbPath } from './sumdb/paths.ts';
import { isFull } from './sumdb/tile.ts';
import { isCanonicalFor } from './version.ts';

export interface SumdbProxied {
  readonly name: string;
  readonly client: SumdbClient;
  readonly source: CachedSumdb;
}

const IMMUTABLE = 'max-age=31536000, immutable';

/** `/sumdb/<name>/…`: the configured database, its answers verified on their way (go.dev/design/25530-sumdb). */
export class SumdbRoutes {
  readonly #database: SumdbProxied | undefined;
  readonly #policy: GoPolicy;
  readonly #exempt: (module: string, version: string) => boolean;

  constructor(
    database: SumdbProxied | undefined,
    policy: GoPolicy,
    exempt: (module: string, version: string) => boolean,
  ) {
    this.#database = database;
    this.#policy = policy;
    this.#exempt = exempt;
  }

  /** Throws LarderError. */
  async serve(
    req: IncomingMessage,
    res: ServerResponse,
    path: string,
    context: RequestContext,
    client: ClientSignal,
    ask: Pick<Ask, 'mode' | 'why'>,
  ): Promise<void> {
    const { database, below } = this.#find(path);
    const wanted = parseSumdbPath(below);
    if (wanted === undefined) {
      throw new LarderError('invalid', 'this is no path of a checksum database');
    }
    if (wanted.kind === 'supported') {
      sendText(res, context, 200, 'supported', req.method === 'HEAD');
      return;
    }
    if (wanted.kind === 'lookup') this.#admit(wanted.module, wanted.version);
    // a newer head may be had: only who may not ask gets the one that is held
    const fetch = ask.mode !== 'none';
    const asks = wanted.kind === 'latest' && fetch;
    const held = asks ? undefined : await database.source.held(wanted);
    if (held === undefined && !fetch) throw notCached(ask);
    const bytes = held ?? (await this.#ask(database, wanted, client.signal));
    context.outcome = held ? 'hit' : 'miss';
    await serve(req, res, context, client, representation(wanted, bytes));
  }

  #admit(module: string, version: string): void {
    const canonical = isCanonicalFor(module, version);
    this.#policy.admit(canonical ? { module, version } : { module });
    if (!this.#exempt(module, version)) return;
    throw new LarderError('denied', 'this name is never looked up in a checksum database');
  }

  #find(path: string): { database: SumdbProxied; below: string } {
    const database = this.#database;
    const decoded = decode(path);
    const prefix = `/sumdb/${database?.name ?? ''}/`;
    if (database && decoded.startsWith(prefix)) {
      return { database, below: decoded.slice(prefix.length) };
    }
    throw new LarderError('not_found', 'this checksum database is not proxied here', {
      outcome: 'bypass',
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

function representation(wanted: SumdbPath, bytes: Uint8Array): Representation {
  const isTile = wanted.kind === 'tile';
  const lasting = wanted.kind === 'lookup' || (isTile && isFull(wanted.tile));
  return {
    body: memoryBody(bytes),
    record: undefined,
    contentType: isTile ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    cacheControl: lasting ? IMMUTABLE : 'max-age=60',
  };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new LarderError('invalid', 'the percent-encoding of this path is broken', { cause });
  }
}
