import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../../src/oci/digest.ts';
import {
  edgeDocument,
  edgeKey,
  edgeRepository,
  parseElement,
  repositoryHash,
  type Owner,
} from '../../../src/oci/edges.ts';

const DIGEST: Digest = { algorithm: 'sha256', hex: 'ab'.repeat(32) };
const FOLDER = `oci/references/sha256/${DIGEST.hex}/`;
const repository = { upstream: { name: 'ghcr.io' }, path: 'a/b' };

const digest = fc.oneof(
  fc.stringMatching(/^[0-9a-f]{64}$/).map((hex): Digest => ({ algorithm: 'sha256', hex })),
  fc.stringMatching(/^[0-9a-f]{128}$/).map((hex): Digest => ({ algorithm: 'sha512', hex })),
);
const owner: fc.Arbitrary<Owner> = fc.oneof(
  fc.stringMatching(/^\w[\w.-]{0,127}$/).map((tag): Owner => ({ kind: 'tag', tag })),
  digest.map((one): Owner => ({ kind: 'manifest', digest: one })),
  fc.constant<Owner>({ kind: 'use' }),
);

describe('the name of an edge', () => {
  test('is short, one element, and says who owns', () => {
    fc.assert(
      fc.property(owner, fc.string(), (one, path) => {
        const hash = repositoryHash({ upstream: { name: 'a' }, path });
        const element = edgeKey(DIGEST, hash, one).slice(FOLDER.length);
        expect(element).not.toContain('/');
        expect(element.length).toBeLessThanOrEqual(250);
        expect(parseElement(element)).toEqual({ hash, owner: one });
      }),
    );
  });

  test.each([
    '',
    'use',
    `use-${'a'.repeat(31)}`,
    `use-${'a'.repeat(32)}-x`,
    `tag-${'a'.repeat(32)}`,
    `manifest-${'a'.repeat(32)}-sha256-ab`,
    `manifest-${'a'.repeat(32)}-md5-${'a'.repeat(64)}`,
    `pin-${'a'.repeat(32)}-x`,
    `use-${'a'.repeat(32)}/`,
  ])('%j is none', (element) => {
    expect(parseElement(element)).toBeUndefined();
  });
});

describe('the document of an edge', () => {
  const hash = repositoryHash(repository);

  test('says which repository its hash is of', () => {
    const document = edgeDocument(repository, new Date(0));
    expect(edgeRepository(document, hash)).toEqual(repository);
    expect(edgeRepository(document, repositoryHash({ ...repository, path: 'a' }))).toBeUndefined();
  });

  test.each(['', 'null', '{}', '{"upstream":"ghcr.io"}', '{"upstream":1,"path":"a/b"}'])(
    '%j cannot be read',
    (document) => {
      expect(edgeRepository(Buffer.from(document), hash)).toBeUndefined();
    },
  );
});
