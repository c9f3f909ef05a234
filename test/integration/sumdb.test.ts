// The checksum database client against golang.org/x/mod's own server.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { LarderError } from '../../src/engine/errors.ts';
import { verifySums } from '../../src/go/sumdb/check.ts';
import { SumdbClient } from '../../src/go/sumdb/client.ts';
import { parseSumdbSetting } from '../../src/go/sumdb/config.ts';
import { tilePath } from '../../src/go/sumdb/tile.ts';
import type { SumdbSource } from '../../src/go/sumdb/tile-source.ts';
import { buildGoTool } from '../support/go-tool.ts';
import { startSumdb, type RunningSumdb, type SumdbOptions } from '../support/sumdb.ts';
import { MemoryHead } from '../support/sumdb-log.ts';
import { atEnd } from '../support/tmp.ts';

const { signal } = new AbortController();

async function start(options: SumdbOptions = {}): Promise<RunningSumdb> {
  const db = await startSumdb(options);
  atEnd(() => db.close());
  return db;
}

/** A source that asks a database, and can be pointed at another one. */
function sourceOf(first: RunningSumdb) {
  const kept: string[] = [];
  const source = {
    db: first,
    kept,
    async read(path: string, s: AbortSignal) {
      const response = await fetch(source.db.url + path, { signal: s });
      const bytes = Buffer.from(await response.arrayBuffer());
      if (response.ok) return { bytes, kept: false };
      const code = [404, 410].includes(response.status) ? 'not_found' : 'upstream_failed';
      throw new LarderError(code, bytes.toString());
    },
    keep(path: string) {
      kept.push(path);
    },
  } satisfies SumdbSource & Record<string, unknown>;
  return source;
}

function clientOf(db: RunningSumdb, head = new MemoryHead()) {
  const setting = parseSumdbSetting(db.setting);
  if (setting === 'off') throw new Error('off');
  expect(setting).toMatchObject({ name: db.name, url: db.url });
  const source = sourceOf(db);
  return { client: new SumdbClient(setting.key, source, head), source, head };
}

const code = (wanted: string) => ({ code: wanted }) as Partial<LarderError>;

test('proves records of a log that grows over the edges of tiles', async () => {
  const db = await start({ fill: 250 });
  const { client, source, head } = clientOf(db);
  for (let n = 0; n < 12; n++) {
    const module = `example.com/M${String(n)}`;
    const lines = await client.lookup(module, 'v1.0.0', signal);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(new RegExp(`^${module} v1\\.0\\.0 h1:`));
  }
  expect(await client.lookup('fill.larder.test/m0', 'v1.0.0', signal)).toHaveLength(2);
  expect(head.text).toContain('\n262\n');
  expect(source.kept).toContain('/tile/8/0/000');
  expect(source.kept).toContain('/lookup/example.com/!m0@v1.0.0');
});

test('proves old and new records of a log with full tiles, also all at once', async () => {
  const db = await start({ fill: 1500 });
  const { client } = clientOf(db);
  const asked = Array.from({ length: 60 }, (_, n) =>
    client.lookup(`fill.larder.test/m${String(25 * n)}`, 'v1.0.0', signal),
  );
  const grown = Array.from({ length: 20 }, (_, n) =>
    client.lookup(`example.com/m${String(n)}`, 'v1.0.0', signal),
  );
  for (const lines of await Promise.all([...asked, ...grown])) expect(lines).toHaveLength(2);
  const paths = await db.log();
  const full = paths.filter((path) => path.startsWith('/tile/') && !path.includes('.p/'));
  expect(full.sort()).toEqual([0, 1, 2, 3, 4].map((n) => `/tile/8/0/00${String(n)}`));
});

test('serves the tiles of the database, byte for byte', async () => {
  const db = await start({ fill: 600 });
  const { client } = clientOf(db);
  for (const tile of [
    { level: 0, index: 1, width: 256 },
    { level: 0, index: 1, width: 7 },
    { level: 0, index: 2, width: 88 },
    { level: 1, index: 0, width: 2 },
    { level: 'data', index: 0, width: 256 },
    { level: 'data', index: 2, width: 88 },
  ] as const) {
    const response = await fetch(`${db.url}/${tilePath(tile)}`);
    const theirs = Buffer.from(await response.arrayBuffer());
    expect(Buffer.from(await client.tile(tile, signal)).equals(theirs)).toBe(true);
  }
  const latest = await fetch(`${db.url}/latest`);
  expect(Buffer.from(await client.latest(signal)).toString()).toBe(await latest.text());
});

test('takes the go.sum lines from a URL', async () => {
  const server = createServer((request, response) => {
    if (request.url !== '/sums/example.com/M@v2.0.0+incompatible') response.statusCode = 404;
    response.end(
      'example.com/M v2.0.0+incompatible h1:a\nexample.com/M v2.0.0+incompatible/go.mod h1:b\n',
    );
  }).listen(0, '127.0.0.1');
  atEnd(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const db = await start({
    fill: 2,
    sums: `http://127.0.0.1:${String(port)}/sums/{module}@{version}`,
  });
  const { client } = clientOf(db);
  const lines = await client.lookup('example.com/M', 'v2.0.0+incompatible', signal);
  verifySums(lines, 'example.com/M', 'v2.0.0+incompatible', { zipH1: 'h1:a' });
  verifySums(lines, 'example.com/M', 'v2.0.0+incompatible', { goModH1: 'h1:b' });
  await expect(client.lookup('example.com/M', 'v1.0.0', signal)).rejects.toMatchObject(
    code('not_found'),
  );
});

test('a database that lies about a version has it refused', async () => {
  const db = await start();
  const honest = await clientOf(db).client.lookup('example.com/m', 'v1.0.0', signal);
  const sum = honest[0]?.split(' ')[2] ?? '';
  const liar = await start();
  await liar.control({ lies: ['example.com/m@v1.0.0'] });
  const lines = await clientOf(liar).client.lookup('example.com/m', 'v1.0.0', signal);
  expect(() => {
    verifySums(lines, 'example.com/m', 'v1.0.0', { zipH1: sum });
  }).toThrow(/^checksum mismatch: /);
});

describe('misbehaviour', () => {
  test.each([
    ['/lookup/', '404', 'not_found'],
    ['/lookup/', '410', 'not_found'],
    ['/lookup/', '500', 'upstream_failed'],
    ['/lookup/', 'garbage', 'bad_content'],
    ['/lookup/', 'empty', 'bad_content'],
    ['/lookup/', 'truncate', 'bad_content'],
    ['/tile/', '404', 'upstream_failed'],
    ['/tile/', '500', 'upstream_failed'],
    ['/tile/', 'garbage', 'bad_content'],
    ['/tile/', 'truncate', 'bad_content'],
    ['/tile/', 'flip', 'checksum_mismatch'],
    ['/tile/8/0/001', 'flip', 'checksum_mismatch'],
  ] as const)(
    '%s %s: %s, nothing is kept, and the next one is right',
    async (path, fault, wanted) => {
      const db = await start({ fill: 600 });
      const { client, source, head } = clientOf(db);
      await db.control({ faults: { [path]: fault } });
      const lookup = () => client.lookup('fill.larder.test/m300', 'v1.0.0', signal);
      await expect(lookup()).rejects.toMatchObject(code(wanted));
      // the edge of the signed tree is right, whatever lies to its left
      const right = path === '/tile/8/0/001' ? /^.tile.8.0.000$|\.p\/\d+$/ : /^.tile.8.0.000$/;
      expect(source.kept.filter((kept) => !right.test(kept))).toEqual([]);
      await db.control({});
      expect(await lookup()).toHaveLength(2);
      expect(head.text).toContain('\n600\n');
    },
  );

  test('whoever waits for one that hangs can leave', async () => {
    const db = await start({ fill: 10 });
    const { client } = clientOf(db);
    await db.control({ faults: { '/tile/': 'hang' } });
    const leaving = new AbortController();
    const waiting = client.lookup('fill.larder.test/m1', 'v1.0.0', leaving.signal);
    await expect.poll(() => db.log()).toContain('/tile/8/0/000.p/10');
    leaving.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
  });

  test('a second history under the same key is refused, also after a restart', async () => {
    const db = await start({ fill: 300 });
    const { client, source, head } = clientOf(db);
    await client.lookup('fill.larder.test/m1', 'v1.0.0', signal);
    const other = await start({ fill: 299 });
    await other.control({ lies: ['example.com/x@v1.0.0'] });
    const forked = clientOf(other);
    await forked.client.lookup('example.com/x', 'v1.0.0', signal);
    expect(other.vkey).toBe(db.vkey);

    source.db = other;
    const refused = {
      code: 'checksum_mismatch',
      message: expect.stringContaining('security error') as string,
    };
    await expect(client.lookup('fill.larder.test/m2', 'v1.0.0', signal)).rejects.toMatchObject(
      refused,
    );
    const restarted = clientOf(other, new MemoryHead(head.text));
    await expect(restarted.client.lookup('example.com/y', 'v1.0.0', signal)).rejects.toMatchObject(
      refused,
    );
    source.db = db;
    expect(await client.lookup('fill.larder.test/m2', 'v1.0.0', signal)).toHaveLength(2);
  });

  test('a database with another key is refused', async () => {
    const db = await start();
    const { client, source } = clientOf(db);
    source.db = await start({ seed: 'another' });
    await expect(client.lookup('example.com/m', 'v1.0.0', signal)).rejects.toMatchObject({
      code: 'checksum_mismatch',
      message: expect.stringContaining('not signed by its key') as string,
    });
  });
});

test('a machine without Go is told in one sentence', async () => {
  const { PATH } = process.env;
  atEnd(() => {
    process.env['PATH'] = PATH;
  });
  process.env['PATH'] = '/nowhere';
  await expect(buildGoTool('sumdb')).rejects.toThrow(
    /^These tests need the go command on the PATH/,
  );
});
