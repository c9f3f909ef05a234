// What a copy from one store into another promises, whatever the two are.

import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/engine/ports.ts';
import { copyStore } from '../../src/references/copy.ts';
import { keysBelow } from '../../src/engine/keys-below.ts';
import { dying } from '../support/dying-store.ts';
import { bytesOf, never, sha256 } from '../support/engine.ts';
import { keepImage, keepModule } from '../support/filled-store.ts';
import { tempDir } from '../support/tmp.ts';
import { verifierOf } from '../support/verifiers.ts';

const isContent = (key: string) =>
  key.startsWith('oci/blobs/') || /^go\/.*\.(info|mod|zip)$/.test(key);

async function fill(store: Store): Promise<void> {
  await keepModule(store, 'example.com/m', 3);
  await keepModule(store, 'example.com/Large', 1, 2_000_000);
  const repository = { upstream: { name: 'reg.test:5000' }, path: 'team/app' };
  await keepImage(store, repository, 'v1', ['one', 'x'.repeat(200_000)]);
  await keepImage(store, repository, 'v2', ['one', 'two']);
  await store.writeDocument('format.json', Buffer.from('{"format":1}\n'));
}

/** Every key with what is under it. */
async function all(store: Store): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const folder of ['go', 'oci', 'answers'])
    for await (const key of keysBelow(store, folder)) {
      const stored = isContent(key) ? await store.open(key) : undefined;
      if (stored) {
        found.set(key, [stored.record, sha256(await bytesOf(stored.body))]);
        stored.body.close();
      } else found.set(key, Buffer.from((await store.readDocument(key)) ?? '').toString());
    }
  return found;
}

export function copyContract(
  name: string,
  make: () => Promise<{ readonly from: Store; readonly to: Store }>,
): void {
  describe(`copy: ${name}`, () => {
    const copy = (from: Store, to: Store) =>
      copyStore(
        { from, to, isContent, last: 'format.json', spoolDir: tempDir() },
        never,
        () => undefined,
      );

    it('has everything afterwards, and does nothing twice', async () => {
      const { from, to } = await make();
      await fill(from);
      const first = await copy(from, to);
      expect(first).toMatchObject({ present: 0, corrupt: [] });
      const there = await all(to);
      expect(there.size).toBeGreaterThan(20);
      expect(there).toEqual(await all(from));
      const { verifier } = verifierOf(to);
      expect(await verifier.run({ repair: true }, never)).toMatchObject({
        corrupt: [],
        edgesRestored: 0,
      });
      expect(await copy(from, to)).toMatchObject({ copied: 0, present: first.copied, bytes: 0 });
    });

    it('has no format until the end, wherever it is cut off, and goes on', async () => {
      const { from, to } = await make();
      await fill(from);
      for (let calls = 3; ; calls += 5) {
        const target = dying(to, calls);
        const isKilled = await copy(from, target).then(
          () => false,
          () => true,
        );
        if (!isKilled) break;
        expect(await to.readDocument('format.json')).toBeUndefined();
      }
      expect(await all(to)).toEqual(await all(from));
      expect(await to.readDocument('format.json')).toBeDefined();
    });

    it('leaves out what is not as its record says, and tells of it', async () => {
      const { from, to } = await make();
      await fill(from);
      await from.spoil('go/example.com/m/@v/v1.0.0.zip');
      const { corrupt } = await copy(from, to);
      expect(corrupt).toEqual(['go/example.com/m/@v/v1.0.0.zip']);
      expect(await to.record('go/example.com/m/@v/v1.0.0.zip')).toBeUndefined();
      expect(await to.record('go/example.com/m/@v/v1.1.0.zip')).toBeDefined();
    });
  });
}
