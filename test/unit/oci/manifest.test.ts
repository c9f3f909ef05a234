import { describe, expect, test } from 'vitest';
import { parseManifest } from '../../../src/oci/manifest.ts';

const OCI = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
const digest = (fill: string) => `sha256:${fill.repeat(64)}`;
const entry = (fill: string, size = 1) => ({ mediaType: 'x/y', digest: digest(fill), size });
const parse = (json: unknown, type?: string) =>
  parseManifest(Buffer.from(JSON.stringify(json)), type);
const hexes = (list: readonly { digest: { hex: string } }[]) =>
  list.map((one) => one.digest.hex[0]);

describe('manifests', () => {
  test('an image names its config and layers', () => {
    const manifest = parse({
      schemaVersion: 2,
      mediaType: OCI,
      config: entry('a'),
      layers: [entry('b', 7), entry('c')],
    });
    expect(manifest.mediaType).toBe(OCI);
    expect(hexes(manifest.blobs)).toEqual(['a', 'b', 'c']);
    expect(manifest.blobs[1]).toMatchObject({ size: 7, mediaType: 'x/y' });
    expect([manifest.manifests, manifest.subject]).toEqual([[], undefined]);
  });

  test('an index names manifests; what refers to something has a subject', () => {
    const index = parse({
      schemaVersion: 2,
      manifests: [entry('d')],
      subject: entry('e'),
      artifactType: 'a/b',
      annotations: { k: 'v', n: 1 },
    });
    expect(index.mediaType).toBe(INDEX);
    expect(hexes(index.manifests)).toEqual(['d']);
    expect(index.subject?.digest.hex[0]).toBe('e');
    expect([index.artifactType, index.annotations]).toEqual(['a/b', { k: 'v' }]);
  });

  test('what it says of itself counts before what was sent with it, and that before what it looks like', () => {
    const image = { schemaVersion: 2, config: entry('a'), layers: [] };
    expect(parse({ ...image, mediaType: DOCKER }, OCI).mediaType).toBe(DOCKER);
    expect(parse(image, `${DOCKER}; charset=utf-8`).mediaType).toBe(DOCKER);
    expect(parse(image, 'text/plain').mediaType).toBe(OCI);
    expect(parse(image).mediaType).toBe(OCI);
  });

  test('an artifact of a type of its own is as good', () => {
    const manifest = parse({
      mediaType: 'application/vnd.oci.artifact.manifest.v1+json',
      blobs: [entry('f')],
    });
    expect(hexes(manifest.blobs)).toEqual(['f']);
  });

  test.each([
    [{ schemaVersion: 1, name: 'a', fsLayers: [] }, undefined],
    [
      { schemaVersion: 2, config: entry('a') },
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
    ],
  ])('schema 1 is refused with a sentence', (json, type) => {
    expect(() => parse(json, type)).toThrow(/schema 1/);
  });

  test.each([
    ['{', 'no JSON'],
    ['[]', 'no JSON object'],
    ['"a"', 'no JSON object'],
    ['<html></html>', 'no JSON'],
    ['{"errors":[]}', 'neither config nor manifests'],
    [JSON.stringify({ config: {} }), 'no digest'],
    [JSON.stringify({ config: { ...entry('a'), digest: 'sha256:abc' } }), 'no digest'],
    [JSON.stringify({ config: { ...entry('a'), size: -1 } }), 'no size'],
    [JSON.stringify({ config: entry('a'), layers: {} }), 'no list'],
    [JSON.stringify({ manifests: ['x'] }), 'no object'],
  ])('%s is refused', (text, sentence) => {
    expect(() => parseManifest(Buffer.from(text), undefined)).toThrow(sentence);
  });

  test('bytes that are not UTF-8 are refused', () => {
    expect(() => parseManifest(Buffer.from([0x22, 0xff, 0x22]), undefined)).toThrow(/no JSON/);
  });
});
