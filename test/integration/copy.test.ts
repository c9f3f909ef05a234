import { FileStore } from '../../src/storage/file.ts';
import { expect, it } from 'vitest';
import { MemoryStore, never } from '../support/engine.ts';
import { keepImage, keepModule } from '../support/filled-store.ts';
import { recordOf } from '../support/records.ts';
import { bucketOn, storeOn, versityServer } from '../support/s3-servers.ts';
import { tempDir } from '../support/tmp.ts';
import { verifierOf } from '../support/verifiers.ts';
import { copyContract } from '../contract/copy.ts';

const server = await versityServer();

const memory = () => new MemoryStore();

async function file() {
  const store = new FileStore(tempDir(), (key, error) => {
    throw new Error(`${key} was not synced`, { cause: error });
  });
  await store.sweep();
  return store;
}

const bucket = async () => storeOn(server, await bucketOn(server));

copyContract('memory to file', async () => ({ from: memory(), to: await file() }));
copyContract('file to S3', async () => ({ from: await file(), to: await bucket() }));
copyContract('S3 to file', async () => ({ from: await bucket(), to: await file() }));

it('a bucket is verified like a folder: spoiled and replaced objects are found and repaired', async () => {
  const store = await bucket();
  const [info, mod] = await keepModule(store, 'example.com/m', 2, 100_000);
  const repository = { upstream: { name: 'reg.test' }, path: 'app' };
  const [manifest, layer] = await keepImage(store, repository, 'v1', ['x'.repeat(200_000)]);
  if (!info || !mod || !manifest || !layer) throw new Error('nothing was stored');
  await store.spoil(info.key);
  // another hand has put others in their place
  for (const key of [layer.key, 'go/example.com/m/@v/v1.1.0.zip']) {
    const bytes = Buffer.alloc(100_000);
    await store.delete(key);
    await store.stash(key, { bytes }, recordOf(bytes));
  }
  const { verifier } = verifierOf(store);
  const wrong = [info.name, 'go:example.com/m@v1.1.0', layer.name].sort();
  const found = await verifier.run({ repair: false }, never);
  expect([...found.corrupt].sort()).toEqual(wrong);
  const mended = await verifier.run({ repair: true }, never);
  expect([...mended.corrupt].sort()).toEqual(wrong);
  expect(mended.repaired).toBe(3);
  expect((await verifier.run({ repair: false }, never)).corrupt).toEqual([]);
  expect(await store.list('go/example.com/m/@v')).toEqual([
    'v1.0.0.mod',
    'v1.0.0.zip',
    'v1.1.0.info',
    'v1.1.0.mod',
  ]);
});
