// Who owns what after real pulls, and what the plans of purges make of it.

import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Answers } from '../../src/engine/answers.ts';
import { parseElement, type Owner } from '../../src/oci/edges.ts';
import { ociPurgeable } from '../../src/oci/purge.ts';
import { FileStore } from '../../src/storage/file.ts';
import { imageIndex } from '../support/images.ts';
import { startMirror } from '../support/mirror.ts';
import { eventually, filesBelow } from '../support/tmp.ts';

describe('what owns what after real pulls', async () => {
  const { registry, larder, get } = await startMirror();
  const owners = () =>
    filesBelow(path.join(larder.storageDir, 'oci', 'references')).map(
      (file) => parseElement(path.basename(file))?.owner.kind,
    );
  const kinds = (wanted: Readonly<Record<Owner['kind'], number>>) =>
    eventually('all edges are written', () => {
      const found = { tag: 0, manifest: 0, use: 0 };
      for (const kind of owners()) if (kind) found[kind]++;
      return Promise.resolve(JSON.stringify(found) === JSON.stringify(wanted) ? found : undefined);
    });

  test('two repositories, as Docker pulls them and by tag; then a plan for each', async () => {
    const names = ['team/one', 'team/two'];
    const [amd64, arm64, other] = names.flatMap((name) => {
      const images = [
        registry.addImage(name, undefined, { layers: ['base', 'amd64'] }),
        registry.addImage(name, undefined, { layers: ['base', 'arm64'] }),
        registry.addImage(name, 'other', { layers: ['base', 'other'] }),
      ] as const;
      const { bytes, mediaType } = imageIndex({ amd64: images[0], arm64: images[1] });
      registry.addManifest(name, '1', bytes, mediaType);
      return images;
    });
    if (!amd64 || !arm64 || !other) throw new Error('there are three');
    const platforms = [amd64, arm64];
    let digest = '';
    for (const name of names) {
      // a client asks where the tag leads, and goes on by digest
      const head = await get(`${name}/manifests/1`, { method: 'HEAD' });
      digest = String(head.headers['docker-content-digest']);
      expect((await get(`${name}/manifests/${digest}`)).status).toBe(200);
      for (const { digest: one, config, layers } of platforms) {
        expect((await get(`${name}/manifests/${one}`)).status).toBe(200);
        for (const blob of [config, ...layers])
          expect((await get(`${name}/blobs/${blob.digest}`)).status).toBe(200);
      }
      expect((await get(`${name}/manifests/other`)).status).toBe(200);
    }
    // one use would be one too many: each of them is a tag's or a manifest's
    await kinds({ tag: 4, manifest: 2 * (2 + 3 + 3 + 3), use: 0 });
    await larder.stop();

    const store = new FileStore(larder.storageDir, (_key, error) => {
      throw error;
    });
    const answers = new Answers(store);
    const purge = async (name: string) => {
      const upstreams = { has: () => false };
      const plan = await ociPurgeable({ store, answers, upstreams }, `main.test/${name}`).plan();
      for (const key of plan.documents.flat()) await store.delete(key);
      const gone: string[] = [];
      for (const content of plan.contents) {
        if (!(await content.mayGo())) continue;
        if (await store.record(content.key)) gone.push(content.key.replace(/.*\//, 'sha256:'));
        await store.delete(content.key);
      }
      return { names: plan.names, gone: gone.sort() };
    };
    const blobs = filesBelow(path.join(larder.storageDir, 'oci', 'blobs'));
    const first = await purge('team/one:1');
    expect(first.gone).toEqual([]);
    expect(first.names[0]).toBe('oci:main.test/team/one:1');
    // the other image keeps what it shares: config and base
    const mine = [digest, ...platforms.flatMap((one) => [one.digest, one.layers[1]?.digest ?? ''])];
    expect(first.names.slice(1)).toEqual(mine.map((one) => `oci:main.test/team/one@${one}`).sort());
    expect(filesBelow(path.join(larder.storageDir, 'oci', 'blobs'))).toEqual(blobs);
    expect((await purge('team/two:1')).gone).toEqual([...mine].sort());
    expect((await purge('team/one')).gone).toEqual([]);
    expect((await purge('team/two')).gone).toHaveLength(3);
    expect(filesBelow(path.join(larder.storageDir, 'oci'))).toEqual([]);
  });
});
