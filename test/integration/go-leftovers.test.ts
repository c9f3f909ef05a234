// What a kill leaves of modules in a folder goes with the next collection.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { LocalAnnouncements } from '../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import { GoSweeper } from '../../src/go/collect.ts';
import { TreeList } from '../../src/go/tree-list.ts';
import { Collector } from '../../src/references/collect.ts';
import { Purger } from '../../src/references/purge.ts';
import { FileStore } from '../../src/storage/file.ts';
import { never } from '../support/engine.ts';
import { keepModule } from '../support/filled-store.ts';
import { expectLease } from '../support/leases.ts';
import { filesBelow, tempDir } from '../support/tmp.ts';

test('bytes without a record, unless somebody brings them, and lists that are not as they should be', async () => {
  const root = tempDir();
  const store = new FileStore(root, (key, error) => {
    throw new Error(key, { cause: error });
  });
  await store.sweep();
  await keepModule(store, 'example.com/m', 2);
  const spoiled = 'go/example.com/m/@v/v1.1.0.zip';
  await store.spoil(spoiled);
  const put = (name: string, text: string) => {
    const file = path.join(root, 'go', name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  const cutOff = put('example.com/m/@v/v1.2.0.zip', 'cut off');
  const empty = put('example.com/m/@v/v1.3.0.mod', 'cut off a little later');
  put('example.com/m/@v/v1.3.0.mod.record', '');
  const onItsWay = put('example.com/n/@v/v1.0.0.mod', 'on its way in');
  const list = put('example.com/gone/@v/list', 'v1.0.0\n');
  const lock = new LocalLock();
  const purger = new Purger({ store, lock, announcements: new LocalAnnouncements() });
  const treeList = new TreeList(store);
  const collector = new Collector({
    store,
    lock,
    purger,
    sweepers: [new GoSweeper({ store, treeList })],
    graceMs: 0,
    keepsAll: false,
    now: Date.now,
  });
  const key = 'go/example.com/n/@v/v1.0.0.mod';
  const lease = expectLease(await lock.acquire({ key, scope: 'a fill', signal: never }));
  const before = filesBelow(root);
  expect(await collector.run({ dryRun: true }, never)).toMatchObject({ count: 0 });
  expect(filesBelow(root)).toEqual(before);
  const nothing = { count: 0, freedBytes: 0, collected: [] };
  expect(await collector.run({ dryRun: false }, never)).toEqual(nothing);
  const gone = [cutOff, empty, `${empty}.record`, list];
  const left = before.filter((file) => !gone.includes(file));
  expect(filesBelow(root).filter((file) => !file.includes('references/'))).toEqual(left);
  expect(readFileSync(path.join(root, 'go/example.com/m/@v/list'), 'utf8')).toBe(
    'v1.0.0\nv1.1.0\n',
  );
  expect(await store.isSpoiled(spoiled)).toBe(true);
  await lease.release();
  await collector.run({ dryRun: false }, never);
  expect(existsSync(onItsWay)).toBe(false);
});
