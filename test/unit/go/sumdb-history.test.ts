import { describe, expect, test } from 'vitest';
import {
  directTile,
  MemoryHead,
  MemorySumdb,
  newSigner,
  someRecords,
} from '../../support/sumdb-log.ts';
import { linesOf as lines, securityError, signer, start } from '../../support/sumdb-client.ts';

describe('what is forged is refused, and nothing of it kept', () => {
  const broken = (change: (text: string) => string, path = '/lookup/') => {
    const it = start(600);
    it.db.tamper = (asked, bytes) =>
      asked.startsWith(path) ? Buffer.from(change(Buffer.from(bytes).toString())) : undefined;
    return it;
  };

  test.each<[string, (text: string) => string]>([
    ['another hash in the record', (text) => text.replace('h1:zip', 'h1:bad')],
    ['another number', (text) => text.replace(/^\d+/, '299')],
    ['a number beyond the tree', (text) => text.replace(/^\d+/, '600')],
    ['a record of another module', () => lookupOf(301)],
    ['a changed head', (text) => text.replace('\n600\n', '\n599\n')],
    [
      'a head that another key has signed',
      (text) => text.replace(/go\.sum[^]*/, newSigner('sum.example.com').note(treeOf(600))),
    ],
    ['a head of other records', (text) => text.replace(/go\.sum[^]*/, signer.note(treeOf(600)))],
  ])('%s', async (_, change) => {
    const { db, head, look } = broken(change);
    await expect(look(300)).rejects.toThrow(securityError);
    expect([...db.kept.keys()].filter((path) => path.startsWith('/lookup/'))).toEqual([]);
    db.tamper = () => undefined;
    expect(await look(300)).toEqual(lines(300));
    expect(head.text).toBe(db.head());
  });

  const lookupOf = (n: number) =>
    `${String(n)}\n${someRecords(n + 1)[n] ?? ''}\n${new MemorySumdb(signer, someRecords(600)).head()}`;
  const treeOf = (size: number) =>
    `go.sum database tree\n${String(size)}\n${Buffer.alloc(32, 7).toString('base64')}\n`;

  test.each<[string, (text: string) => string]>([
    ['HTML', () => '<html>\n\n</html>'],
    ['nothing', () => ''],
    ['half', (text) => text.slice(0, text.length / 2)],
    ['no head', (text) => text.replace(/go\.sum[^]*/, '')],
    ['a control character', (text) => text.replace('h1:zip', 'h1:\x01')],
  ])('%s is malformed', async (_, change) => {
    const { db, look } = broken(change);
    await expect(look(300)).rejects.toMatchObject({ code: 'bad_content' });
    expect(db.kept.size).toBe(0);
  });

  test('a tile that is wrong is not remembered', async () => {
    const { db, look } = start(600);
    db.tamper = (path, bytes) => {
      if (path !== '/tile/8/0/001') return undefined;
      return Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)]);
    };
    await expect(look(300)).rejects.toThrow(securityError);
    expect(db.kept.size).toBe(0);
    db.tamper = () => undefined;
    expect(await look(300)).toEqual(lines(300));
  });
});

describe('history', () => {
  const fork = (count: number, from: number) => [
    ...someRecords(from),
    ...someRecords(count)
      .slice(from)
      .map((text) => text.replace('h1:zip', 'h1:forked')),
  ];

  test('moves forward with newer heads, and saves each', async () => {
    const { db, head, look } = start(0, undefined, someRecords(300));
    const heads: string[] = [];
    for (const size of [10, 256, 257, 300]) {
      db.headSize = size;
      heads.push(db.head());
      expect(await look(size - 1)).toEqual(lines(size - 1));
    }
    expect(head.saved).toEqual(heads);
  });

  test('takes an older head that belongs to it, and does not go back', async () => {
    const { db, head, look } = start(600);
    await look(1);
    db.headSize = 300;
    expect(await look(2)).toEqual(lines(2));
    db.headSize = 600;
    expect(await look(3)).toEqual(lines(3));
    expect(head.saved).toHaveLength(1);
  });

  test('does not look at the same head twice', async () => {
    const { db, look } = start(600);
    await look(1);
    db.headSize = 300;
    await look(2);
    db.asked.length = 0;
    await look(3);
    expect(db.asked).toEqual(['/lookup/example.com/m3@v1.0.0']);
  });

  // where the other history is longer, shorter, as long; and parts early or late
  test.each([
    [600, 0],
    [600, 299],
    [300, 0],
    [300, 299],
    [257, 255],
    [200, 3],
  ])('refuses another history of %i records that parts at %i', async (count, from) => {
    const { db, head, look } = start(300);
    await look(1);
    const before = head.text;
    db.records = fork(count, from);
    await expect(look(2)).rejects.toThrow(securityError);
    // what the first history has is still believed, and nothing of the other got in
    expect(head.text).toBe(before);
    for (const [path, bytes] of db.kept) {
      if (path.startsWith('/tile/')) {
        expect(
          Buffer.from(bytes).equals(
            directTile(someRecords(300), { level: 0, index: 0, width: 256 }),
          ),
        ).toBe(true);
      }
    }
    db.records = someRecords(400);
    expect(await look(350)).toEqual(lines(350));
  });

  test('names both trees when they contradict each other', async () => {
    const { db, look } = start(300);
    await look(1);
    db.records = fork(600, 0);
    await expect(look(2)).rejects.toThrow(
      /two histories \(tree 300 \S+ is not the beginning of tree 600 \S+\)/,
    );
  });

  test('goes on from the saved head after a restart', async () => {
    const first = start(300);
    await first.look(1);
    const second = start(0, new MemoryHead(first.head.text), fork(300, 10));
    await expect(second.look(2)).rejects.toThrow(securityError);
    const third = start(400, new MemoryHead(first.head.text));
    expect(await third.look(2)).toEqual(lines(2));
    expect(third.head.saved).toHaveLength(1);
  });

  test('says so when the saved head does not verify, and tries again', async () => {
    const { head, look } = start(300, new MemoryHead('nonsense'));
    await expect(look(1)).rejects.toMatchObject({ code: 'store_failed' });
    head.text = undefined;
    expect(await look(1)).toEqual(lines(1));
  });

  test('with many newer heads at once takes the largest first', async () => {
    const { db, head, look } = start(0, undefined, someRecords(500));
    let size = 400;
    const read = db.read.bind(db);
    db.read = (path, s) => {
      if (path.startsWith('/lookup/')) db.headSize = ++size;
      return read(path, s);
    };
    const found = await Promise.all(Array.from({ length: 20 }, (_, n) => look(n)));
    expect(found).toEqual(Array.from({ length: 20 }, (_, n) => lines(n)));
    const saved = head.saved.map((text) => Number(text.split('\n')[1]));
    expect(saved.at(-1)).toBe(420);
    expect(saved.length).toBeLessThan(4);
    expect([...saved].sort((a, b) => a - b)).toEqual(saved);
  });
});
