import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { SumdbClient } from '../../../src/go/sumdb/client.ts';
import { directTile, MemoryHead, MemorySumdb, recordText } from '../../support/sumdb-log.ts';
import {
  linesOf as lines,
  securityError,
  signal,
  signer,
  start,
} from '../../support/sumdb-client.ts';

describe('lookup', () => {
  test.each([1, 2, 256, 257, 600])('finds every record of a database of %i', async (count) => {
    const { look } = start(count);
    for (const n of [0, count >> 1, count - 1]) expect(await look(n)).toEqual(lines(n));
  });

  test('asks once for a version, and has memory of tiles', async () => {
    const { db, look } = start(600);
    await look(300);
    expect(db.asked).toEqual([
      '/lookup/example.com/m300@v1.0.0',
      '/tile/8/0/002.p/88',
      '/tile/8/1/000.p/2',
      '/tile/8/0/001',
    ]);
    db.asked.length = 0;
    await look(300);
    expect(db.asked).toEqual([]);
    await look(301);
    expect(db.asked).toEqual(['/lookup/example.com/m301@v1.0.0']);
  });

  test('escapes upper case', async () => {
    const { db, client } = start(0, undefined, [recordText('example.com/M', 'v1.0.0-RC')]);
    const read = db.read.bind(db);
    db.read = (path, s) => read(path.replace('!m', 'M').replace('!r!c', 'RC'), s);
    expect(await client.lookup('example.com/M', 'v1.0.0-RC', signal)).toHaveLength(2);
    db.read = read;
    await expect(client.lookup('example.com/N', 'v1.0.0', signal)).rejects.toThrow(
      'No /lookup/example.com/!n@v1.0.0 here.',
    );
  });

  test.each([
    ['example.com/../m', 'v1.0.0'],
    ['example.com/m', 'v1.0.0/../x'],
    ['', 'v1.0.0'],
  ])('refuses %s@%s without asking', async (module, version) => {
    const { db, client } = start(1);
    await expect(client.lookup(module, version, signal)).rejects.toMatchObject({ code: 'invalid' });
    expect(db.asked).toEqual([]);
  });

  test('hands on what the source throws, and asks anew the next time', async () => {
    const { db, look } = start(10);
    await expect(look(10)).rejects.toMatchObject({ code: 'not_found' });
    db.gate = () => Promise.reject(new LarderError('upstream_timeout', 'too slow'));
    await expect(look(1)).rejects.toMatchObject({ code: 'upstream_timeout' });
    db.gate = () => Promise.resolve();
    expect(await look(1)).toEqual(lines(1));
  });

  test('a missing tile is not a missing record', async () => {
    const { db, look } = start(10);
    db.gate = (path) =>
      path.startsWith('/tile/')
        ? Promise.reject(new LarderError('not_found', 'gone'))
        : Promise.resolve();
    await expect(look(1)).rejects.toMatchObject({ code: 'upstream_failed' });
  });

  test('has lookups and full tiles kept once they are proved, and what was kept not again', async () => {
    const { db, client, look } = start(600);
    await look(300);
    await look(301);
    expect([...db.kept.keys()]).toEqual([
      '/tile/8/0/001',
      '/lookup/example.com/m300@v1.0.0',
      '/lookup/example.com/m301@v1.0.0',
    ]);
    const again = new MemorySumdb(signer, db.records);
    const read = again.read.bind(again);
    again.read = async (path, s) => {
      const kept = db.kept.get(path);
      return kept ? { bytes: kept, kept: true } : read(path, s);
    };
    const client2 = new SumdbClient(signer.verifier, again, new MemoryHead());
    const bytes = await client2.record('example.com/m300', 'v1.0.0', signal);
    expect(bytes).toEqual(await client.record('example.com/m300', 'v1.0.0', signal));
    expect(again.kept.size).toBe(0);
  });
});

describe('work is shared', () => {
  /** A gate that stays closed until it is opened. */
  const gated = (db: MemorySumdb, path: string) => {
    const open = Promise.withResolvers<undefined>();
    const reached = Promise.withResolvers<AbortSignal>();
    db.gate = async (asked, s) => {
      if (!asked.startsWith(path)) return;
      reached.resolve(s);
      const aborted = new Promise<never>((_, reject) => {
        s.addEventListener('abort', () => {
          reject(s.reason as Error);
        });
      });
      await Promise.race([open.promise, aborted]);
    };
    return { open: open.resolve, reached: reached.promise };
  };

  test('by all who ask at the same time, failures too', async () => {
    const { db, look } = start(600);
    expect(await Promise.all(Array.from({ length: 50 }, () => look(300)))).toEqual(
      Array.from({ length: 50 }, () => lines(300)),
    );
    expect(db.asked).toHaveLength(4);
    db.asked.length = 0;
    const failures = await Promise.allSettled(Array.from({ length: 50 }, () => look(9999)));
    expect(new Set(failures.map((f) => f.status))).toEqual(new Set(['rejected']));
    expect(db.asked).toEqual(['/lookup/example.com/m9999@v1.0.0']);
  });

  test('a tile is read once for different versions', async () => {
    const { db, look } = start(600);
    await Promise.all([300, 301, 302].map(look));
    expect(db.asked.filter((path) => path.startsWith('/tile/')).sort()).toEqual([
      '/tile/8/0/001',
      '/tile/8/0/002.p/88',
      '/tile/8/1/000.p/2',
    ]);
  });

  test('one who leaves disturbs no other', async () => {
    const { db, client, look } = start(600);
    const gate = gated(db, '/lookup/');
    const leaving = new AbortController();
    const first = client.lookup('example.com/m1', 'v1.0.0', leaving.signal);
    const second = look(1);
    await gate.reached;
    leaving.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    gate.open(undefined);
    expect(await second).toEqual(lines(1));
    expect(db.asked.filter((path) => path.startsWith('/lookup/'))).toHaveLength(1);
  });

  test('the last one who leaves ends it, and the next one starts anew', async () => {
    const { db, client, look } = start(600);
    const gate = gated(db, '/tile/8/0/001');
    const leaving = new AbortController();
    const only = client.lookup('example.com/m300', 'v1.0.0', leaving.signal);
    const reading = await gate.reached;
    leaving.abort(new Error('gone'));
    await expect(only).rejects.toThrow('gone');
    await expect.poll(() => reading.aborted).toBe(true);
    gate.open(undefined);
    expect(await look(300)).toEqual(lines(300));
  });

  test('whoever has left already asks nothing', async () => {
    const { db, client } = start(600);
    const gone = client.lookup('example.com/m1', 'v1.0.0', AbortSignal.abort(new Error('gone')));
    await expect(gone).rejects.toThrow('gone');
    expect(db.asked).toEqual([]);
  });
});

describe('tiles and heads for clients', () => {
  test('a full tile is verified and kept, with the help of a newer head', async () => {
    const { db, client } = start(600);
    const bytes = await client.tile({ level: 0, index: 1, width: 256 }, signal);
    expect(
      Buffer.from(bytes).equals(directTile(db.records, { level: 0, index: 1, width: 256 })),
    ).toBe(true);
    expect(db.asked).toContain('/latest');
    expect([...db.kept.keys()]).toEqual(['/tile/8/0/001']);
    db.asked.length = 0;
    await client.tile({ level: 0, index: 1, width: 256 }, signal);
    expect(db.asked).toEqual([]);
  });

  test('a partial tile comes out of the full one, or of the newer partial one', async () => {
    const { db, client, look } = start(600);
    await look(1);
    for (const tile of [
      { level: 0, index: 0, width: 5 },
      { level: 0, index: 2, width: 88 },
      { level: 0, index: 2, width: 7 },
      { level: 1, index: 0, width: 1 },
    ]) {
      db.asked.length = 0;
      expect(
        Buffer.from(await client.tile(tile, signal)).equals(directTile(db.records, tile)),
      ).toBe(true);
      expect(db.asked).toEqual([]);
    }
  });

  test('a partial tile beyond the tree known so far is handed through', async () => {
    const { db, client, look } = start(600);
    db.headSize = 550;
    await look(1);
    const tile = { level: 0, index: 2, width: 80 };
    expect(Buffer.from(await client.tile(tile, signal)).equals(directTile(db.records, tile))).toBe(
      true,
    );
    expect(db.asked.at(-1)).toBe('/tile/8/0/002.p/80');
    expect(db.asked).not.toContain('/latest');
  });

  test('a tile that nobody has is not found', async () => {
    const { client } = start(600);
    await expect(client.tile({ level: 0, index: 7, width: 256 }, signal)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('a wrong full tile is refused', async () => {
    const { db, client } = start(600);
    db.tamper = (path, bytes) =>
      path === '/tile/8/0/000' ? Buffer.alloc(bytes.length) : undefined;
    await expect(client.tile({ level: 0, index: 0, width: 256 }, signal)).rejects.toThrow(
      securityError,
    );
    expect(db.kept.size).toBe(0);
  });

  test('a data tile is verified record by record, and kept when full', async () => {
    const { db, client } = start(600);
    const full = { level: 'data', index: 1, width: 256 } as const;
    expect(Buffer.from(await client.tile(full, signal)).equals(directTile(db.records, full))).toBe(
      true,
    );
    expect([...db.kept.keys()].sort()).toEqual(['/tile/8/0/001', '/tile/8/data/001']);
    const part = { level: 'data', index: 2, width: 88 } as const;
    expect(Buffer.from(await client.tile(part, signal)).equals(directTile(db.records, part))).toBe(
      true,
    );
    expect(db.kept.size).toBe(2);
    db.tamper = (path, bytes) =>
      path.includes('/data/')
        ? Buffer.from(Buffer.from(bytes).toString().replace('h1:zip', 'h1:bad'))
        : undefined;
    await expect(client.tile({ ...full, index: 0 }, signal)).rejects.toThrow(securityError);
  });

  test('the newest head is that of the database, unless a newer one is known', async () => {
    const { db, client, look } = start(600);
    expect(Buffer.from(await client.latest(signal)).toString()).toBe(db.head(600));
    await look(1);
    db.headSize = 500;
    expect(Buffer.from(await client.latest(signal)).toString()).toBe(db.head(600));
    db.tamper = () => Buffer.of(0xff);
    await expect(client.latest(signal)).rejects.toMatchObject({ code: 'bad_content' });
  });

  test('an empty database has a head too', async () => {
    const { db, client } = start(0);
    expect(Buffer.from(await client.latest(signal)).toString()).toBe(db.head(0));
  });
});
