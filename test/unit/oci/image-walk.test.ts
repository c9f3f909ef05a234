import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { digestText, parseDigest, type Digest } from '../../../src/oci/digest.ts';
import { PieceError, walkImage, type ImageSource } from '../../../src/oci/image-walk.ts';
import { parseManifest, type Descriptor } from '../../../src/oci/manifest.ts';
import { parsePlatform } from '../../../src/oci/platforms.ts';

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const letterOf = (of: Digest | string) => (typeof of === 'string' ? of : digestText(of)).charAt(7);
const blob = (letter: string, mediaType = 'x/y') => ({
  mediaType,
  digest: digest(letter),
  size: 1,
});
const image = (config: string, layers: string) => ({
  config: blob(config),
  layers: Array.from(layers).map((layer) => blob(layer)),
});
const entry = (letter: string, platform?: string, attests?: string) => {
  const [os, architecture, variant] = platform?.split('/') ?? [];
  return {
    ...blob(letter, 'application/vnd.oci.image.manifest.v1+json'),
    ...(platform !== undefined && { platform: { os, architecture, variant } }),
    ...(attests !== undefined && {
      annotations: { 'vnd.docker.reference.digest': digest(attests) },
    }),
  };
};

interface World {
  /** By tag, or by the letter of a digest. */
  readonly manifests: Readonly<Record<string, object>>;
  readonly tags?: Readonly<Record<string, string>>;
  readonly referrers?: Readonly<Record<string, string>>;
  /** Letters of what fails, with how. */
  readonly failing?: Readonly<Record<string, Error>>;
  readonly present?: string;
}

function sourceOf(world: World) {
  const asked: string[] = [];
  const see = (what: string, letter: string) => {
    asked.push(`${what} ${letter}`);
    const error = world.failing?.[letter];
    if (error) throw error;
    return !(world.present ?? '').includes(letter);
  };
  const source: ImageSource = {
    async manifest(reference) {
      await Promise.resolve();
      const letter = world.tags?.[reference] ?? letterOf(reference);
      const isNew = see('manifest', letter);
      const json = world.manifests[letter];
      const found = parseDigest(digest(letter));
      if (json === undefined || found === undefined) throw missing;
      return {
        digest: found,
        manifest: parseManifest(Buffer.from(JSON.stringify(json)), undefined),
        isNew,
      };
    },
    async blob(of) {
      await Promise.resolve();
      return see('blob', letterOf(of));
    },
    async referrers(of) {
      await Promise.resolve();
      const found = Array.from(world.referrers?.[letterOf(of)] ?? '');
      return found.map((letter): Descriptor => {
        const parsed = parseDigest(digest(letter));
        if (parsed === undefined) throw missing;
        return { mediaType: 'x/y', size: 1, digest: parsed };
      });
    },
  };
  return { source, asked };
}

const missing = new LarderError('not_found', 'not there');

async function walk(world: World, platforms?: string[], reference = 'v1') {
  const { source, asked } = sourceOf(world);
  const steps = { found: 0, done: 0 };
  const result = await walkImage(source, {
    reference,
    platforms: platforms?.map(parsePlatform),
    found: () => steps.found++,
    done: () => steps.done++,
  }).catch((error: unknown) => error);
  expect(steps.done).toBe(steps.found);
  return { result, asked, steps };
}

const index = {
  manifests: [
    entry('1', 'linux/amd64'),
    entry('2', 'linux/arm64/v8'),
    entry('3', 'linux/arm64'),
    entry('4', 'linux/arm/v6'),
    entry('5', 'unknown/unknown', '1'),
    entry('6', 'unknown/unknown', '4'),
  ],
};
const world: World = {
  tags: { v1: '0' },
  manifests: {
    '0': index,
    '1': image('a', 'bc'),
    '2': image('a', 'bd'),
    '3': image('a', 'e'),
    '4': image('a', 'f'),
    '5': image('a', 'c'),
    '6': image('a', 'd'),
  },
};
const manifestsIn = (asked: readonly string[]) =>
  asked
    .filter((one) => one.startsWith('manifest'))
    .map((one) => one.at(-1))
    .join('');

describe('a walk', () => {
  test('asks for everything of an index, each piece once', async () => {
    const { result, asked } = await walk(world);
    expect(result).toBe(true);
    expect([...asked].sort()).toEqual([
      ...Array.from('abcdef').map((letter) => `blob ${letter}`),
      ...Array.from('0123456').map((letter) => `manifest ${letter}`),
    ]);
  });

  test.each([
    ['linux/amd64', '015'],
    ['linux/arm64', '023'],
    ['linux/arm64/v8', '023'],
    ['linux/arm/v6', '046'],
    ['linux/arm', '046'],
  ])('for %s asks for that, and for what attests it', async (platform, letters) => {
    const { asked } = await walk(world, [platform]);
    expect(manifestsIn(asked)).toBe(letters);
  });

  test('for several platforms asks for each', async () => {
    expect(manifestsIn((await walk(world, ['linux/arm', 'linux/amd64'])).asked)).toBe('01456');
  });

  test('for a platform that the index does not have fails', async () => {
    const { result, asked } = await walk(world, ['linux/s390x']);
    expect((result as Error).message).toMatch(/nothing for linux\/s390x/);
    expect(asked).toEqual(['manifest 0']);
  });

  test('takes an image that is no index, and entries without a platform, for any', async () => {
    const plain = { tags: { v1: '1' }, manifests: { '1': image('a', 'b') } };
    expect((await walk(plain, ['linux/arm64'])).asked).toEqual(['manifest 1', 'blob a', 'blob b']);
    const entries = { manifests: [entry('1'), entry('2', 'linux/amd64')] };
    const mixed = { ...world, manifests: { ...world.manifests, '0': entries } };
    expect(manifestsIn((await walk(mixed, ['linux/arm64'])).asked)).toBe('01');
  });

  test('follows referrers, and referrers of these', async () => {
    const signed = {
      tags: { v1: '1' },
      manifests: { '1': image('a', 'b'), '2': image('c', 'd'), '3': image('c', 'e') },
      referrers: { '1': '2', '2': '3' },
    };
    const { asked } = await walk(signed);
    expect(manifestsIn(asked)).toBe('123');
    expect(asked).toContain('blob e');
  });

  test('that goes round or ever deeper ends', async () => {
    const round = {
      tags: { v1: '1' },
      manifests: { '1': image('a', ''), '2': image('a', '') },
      referrers: { '1': '2', '2': '12' },
    };
    expect(manifestsIn((await walk(round)).asked)).toBe('12');
    const letters = Array.from('0123456789ab');
    const deep = {
      tags: { v1: '0' },
      manifests: Object.fromEntries(letters.map((letter) => [letter, image('f', '')])),
      referrers: Object.fromEntries(letters.map((letter, at) => [letter, letters[at + 1] ?? ''])),
    };
    expect((await walk(deep)).result).toMatchObject({ code: 'bad_content' });
  });

  test('says whether anything was fetched just now', async () => {
    const all = { ...world, present: '0123456abcdef' };
    expect((await walk(all)).result).toBe(false);
    expect((await walk({ ...all, present: '0123456abcde' })).result).toBe(true);
  });

  test('goes on past a piece that fails, and throws the first one with its name', async () => {
    const failing = { '2': missing, c: new LarderError('upstream_failed', 'it broke') };
    const { result, asked } = await walk({ ...world, failing });
    expect(result).toBeInstanceOf(PieceError);
    expect((result as Error).message).toBe(`manifest ${digest('2')}: not there`);
    expect(asked).toContain('blob f');
  });

  test('whose name is not there fails as that', async () => {
    const { result } = await walk({ ...world, failing: { '0': missing } });
    expect(result).toBe(missing);
  });

  test('leaves a layer alone that its registry need not have', async () => {
    const foreign = blob('b', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
    const windows = {
      tags: { v1: '1' },
      manifests: { '1': { config: blob('a'), layers: [foreign] } },
      failing: { b: missing },
    };
    expect((await walk(windows)).result).toBe(true);
    const broken = { ...windows, failing: { b: new LarderError('upstream_failed', 'it broke') } };
    expect((await walk(broken)).result).toMatchObject({ code: 'upstream_failed' });
  });
});
