import { expect, test } from 'vitest';
import { keyOf } from '../../../src/go/names.ts';
import { modules } from '../../../src/go/walk.ts';
import { MemoryStore, sha256 } from '../../support/engine.ts';

test('modules are met whatever lies below them, with their files', async () => {
  const store = new MemoryStore();
  const keep = async (
    module: string,
    version: string,
    ...extensions: ('info' | 'mod' | 'zip')[]
  ) => {
    for (const ext of extensions) {
      const bytes = Buffer.from(ext);
      const record = { size: 3, sha256: sha256(bytes), time: '', source: 'test', extra: {} };
      await store.stash(keyOf({ kind: 'file', module, version, ext }), { bytes }, record);
    }
  };
  await keep('example.com/A', 'v1.0.0', 'info', 'mod', 'zip');
  await keep('example.com/A', 'v1.1.0-RC1', 'mod');
  await keep('example.com/A/b/v2', 'v2.0.0', 'mod');
  await store.writeDocument('go/example.com/!a/@v/list', Buffer.from('v1.0.0\n'));
  // a module of which only its list is left
  await store.writeDocument('go/example.com/c/@v/list', Buffer.from(''));
  const met = await Array.fromAsync(modules(store));
  expect(
    met.map(({ module, files }) => [
      module,
      files.map(({ name }) => `${name.version}.${name.ext}`),
    ]),
  ).toEqual([
    ['example.com/A', ['v1.0.0.info', 'v1.0.0.mod', 'v1.0.0.zip', 'v1.1.0-RC1.mod']],
    ['example.com/A/b/v2', ['v2.0.0.mod']],
    ['example.com/c', []],
  ]);
});
