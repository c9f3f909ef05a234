import { describe, expect, test } from 'vitest';
import { readAll } from '../../src/http/download.ts';
import type { Fetched } from '../../src/engine/ports.ts';
import type { RegistryFetcher } from '../../src/oci/fetch-registry.ts';
import { ACCEPT_MANIFESTS } from '../../src/oci/manifest.ts';
import { Body } from '../support/body.ts';
import { sha256 } from '../support/engine.ts';
import type { Fault } from '../support/faults.ts';
import { imageIndex } from '../support/images.ts';
import { startCdn, startRegistry, type RegistryOptions } from '../support/registry.ts';
import { registryFetcher } from '../support/registry-fetcher.ts';
import { startTokenService } from '../support/token-service.ts';

const { signal } = new AbortController();
const layer = Body.noise(300_000);
const blobPath = `/v2/a/b/blobs/sha256:${layer.sha256}`;
const blobDigest = `sha256:${layer.sha256}`;

async function withImage(
  options: RegistryOptions = {},
  fetcherOptions: Parameters<typeof registryFetcher>[1] = {},
) {
  const registry = await startRegistry(options);
  const image = registry.addImage('a/b', 'v1', { layers: [layer] });
  return { registry, image, ...registryFetcher(registry.url, fetcherOptions) };
}

const all = ({ body }: Fetched) => readAll(body, 10_000_000);
const hashOf = async (fetched: Fetched) => sha256(await all(fetched));

describe('manifests', () => {
  test('by tag and digest, as they are', async () => {
    const { registry, image, fetcher } = await withImage();
    for (const reference of ['v1', image.digest]) {
      const fetched = await fetcher.manifest('a/b', reference, signal);
      const { size, contentType, digest, source } = fetched;
      expect({ size, contentType, digest, source }).toEqual({
        size: image.bytes.length,
        contentType: image.mediaType,
        digest: image.digest,
        source: registry.url,
      });
      expect((await all(fetched)).equals(image.bytes)).toBe(true);
    }
    expect(registry.log.map(({ method, path }) => [method, path])).toEqual([
      ['GET', '/v2/a/b/manifests/v1'],
      ['GET', `/v2/a/b/manifests/${image.digest}`],
    ]);
    for (const { headers } of registry.log) expect(headers.accept).toBe(ACCEPT_MANIFESTS);
  });

  test('HEAD', async () => {
    const { registry, image, fetcher } = await withImage();
    const { mediaType, bytes } = imageIndex({ amd64: image });
    const { digest } = registry.addManifest('a/b', 'all', bytes, mediaType);
    expect(await fetcher.headManifest('a/b', 'all', signal)).toEqual({
      contentType: mediaType,
      digest,
      size: bytes.length,
    });
    expect(registry.log).toMatchObject([{ method: 'HEAD', headers: { accept: ACCEPT_MANIFESTS } }]);
  });

  test('below the path of the upstream', async () => {
    const { registry } = await withImage();
    const { fetcher } = registryFetcher(`${registry.url}/some/where/`);
    await expect(fetcher.headManifest('a/b', 'v1', signal)).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(registry.log.map(({ path }) => path)).toEqual(['/some/where/v2/a/b/manifests/v1']);
    expect(fetcher.source).toBe(`${registry.url}/some/where`);
  });

  test('a digest header is handed on as it came', async () => {
    const { registry, fetcher } = await withImage();
    registry.fault(/^/, { headers: { 'docker-content-digest': 'sha256:wrong' } });
    expect((await fetcher.headManifest('a/b', 'v1', signal)).digest).toBe('sha256:wrong');
  });
});

describe('what an answer means', () => {
  test.each<[Fault, object, number]>([
    [{ status: 404 }, { code: 'not_found', message: 'not found' }, 1],
    [{ status: 410 }, { code: 'not_found' }, 1],
    [{ status: 401 }, { code: 'upstream_unauthorized' }, 1],
    [{ status: 403 }, { code: 'upstream_forbidden' }, 1],
    [
      { status: 429, headers: { 'retry-after': '3' } },
      { code: 'rate_limited', retryAfterMs: 3000 },
      1,
    ],
    [{ status: 429 }, { code: 'rate_limited', retryAfterMs: 1000 }, 1],
    [
      { status: 429, headers: { 'retry-after': 'soon' } },
      { code: 'rate_limited', retryAfterMs: 1000 },
      1,
    ],
    [{ status: 500 }, { code: 'upstream_failed' }, 3],
    [{ status: 502 }, { code: 'upstream_failed' }, 3],
    [{ status: 418 }, { code: 'upstream_failed' }, 1],
    [{ status: 204 }, { code: 'upstream_failed' }, 1],
    [{ hangUp: true }, { code: 'upstream_failed' }, 3],
    [{ redirect: (path) => path }, { code: 'upstream_failed' }, 11],
  ])('%j: %j', async (fault, error, times) => {
    const asks: ((fetcher: RegistryFetcher) => Promise<unknown>)[] = [
      (fetcher) => fetcher.manifest('a/b', 'v1', signal),
      (fetcher) => fetcher.headManifest('a/b', 'v1', signal),
      (fetcher) => fetcher.blob('a/b', blobDigest, signal),
      (fetcher) => fetcher.headBlob('a/b', blobDigest, signal),
      (fetcher) => fetcher.tags('a/b', '', signal),
      (fetcher) => fetcher.referrers('a/b', blobDigest, '', signal),
    ];
    for (const ask of asks) {
      const { registry, fetcher } = await withImage();
      registry.fault(/^/, fault);
      await expect(ask(fetcher)).rejects.toMatchObject(error);
      expect(registry.log).toHaveLength(times);
    }
  });

  test('gzip is refused', async () => {
    const { registry, fetcher } = await withImage();
    registry.fault(/^/, { gzip: true });
    const failure = { code: 'upstream_failed' };
    await expect(fetcher.blob('a/b', blobDigest, signal)).rejects.toMatchObject(failure);
    await expect(fetcher.manifest('a/b', 'v1', signal)).rejects.toMatchObject(failure);
  });

  test('silence, with a token server and a redirect on the way, has one deadline', async () => {
    const tokens = await startTokenService();
    const cdn = await startCdn();
    const { registry, fetcher } = await withImage({ tokens, cdn }, { firstByteMs: 600 });
    // each of them alone would be in time
    tokens.fault(/^/, { delayMs: 400 });
    cdn.fault(/^/, { delayMs: 400 });
    await expect(fetcher.blob('a/b', blobDigest, signal)).rejects.toMatchObject({
      code: 'upstream_timeout',
      message: `fetch timed out: ${registry.host} was silent for 600ms`,
    });
  });

  test('who leaves is not waited for', async () => {
    const { registry, fetcher } = await withImage();
    registry.fault(/^/, { hang: true });
    const leaver = new AbortController();
    const left = fetcher.blob('a/b', blobDigest, leaver.signal);
    leaver.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
  });
});

describe('blobs', () => {
  test('whole, and their length', async () => {
    const { registry, fetcher } = await withImage();
    const fetched = await fetcher.blob('a/b', blobDigest, signal);
    expect(fetched).toMatchObject({ size: layer.size, source: registry.url });
    expect(await hashOf(fetched)).toBe(layer.sha256);
    expect(await fetcher.headBlob('a/b', blobDigest, signal)).toBe(layer.size);
    expect(registry.log.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
  });

  test('of no bytes', async () => {
    const { registry, fetcher } = await withImage();
    const { digest } = registry.addBlob('a/b', '');
    const fetched = await fetcher.blob('a/b', digest, signal);
    expect(fetched.size).toBe(0);
    expect((await all(fetched)).length).toBe(0);
    expect(await fetcher.headBlob('a/b', digest, signal)).toBe(0);
  });

  test.each([
    ['fin', true],
    ['rst', true],
    ['fin', false],
    ['rst', false],
  ] as const)('cut by %s, go on where they broke (validators: %s)', async (cutBy, etags) => {
    const { registry, fetcher } = await withImage({ etags });
    registry.fault(blobPath, { cutAfter: 100_000, cutBy, times: 1 });
    expect(await hashOf(await fetcher.blob('a/b', blobDigest, signal))).toBe(layer.sha256);
    const [, resumed] = registry.log;
    expect(registry.log).toHaveLength(2);
    expect(resumed?.status).toBe(206);
    expect(resumed?.headers.range).toMatch(/^bytes=\d+-$/);
    expect(resumed?.headers['if-range'] !== undefined).toBe(etags);
    // a reset may overtake what was sent before it
    if (cutBy === 'fin') expect(resumed?.headers.range).toBe('bytes=100000-');
  });

  test.each([1, 2])('that fall silent go on where they stopped: %i times', async (times) => {
    const { registry, fetcher } = await withImage({ etags: false }, { stallMs: 300 });
    registry.fault(blobPath, { holdAfter: 50_000, times });
    expect(await hashOf(await fetcher.blob('a/b', blobDigest, signal))).toBe(layer.sha256);
    const ranges = registry.log.map(({ headers }) => headers.range);
    expect(ranges).toEqual([undefined, 'bytes=50000-', 'bytes=100000-'].slice(0, times + 1));
  });

  test('that fall silent each time are given up after three tries', async () => {
    const { registry, fetcher } = await withImage({ etags: false }, { stallMs: 300 });
    registry.fault(blobPath, { holdAfter: 50_000 });
    await expect(all(await fetcher.blob('a/b', blobDigest, signal))).rejects.toMatchObject({
      code: 'upstream_timeout',
    });
    expect(registry.log).toHaveLength(3);
  });

  test('from a registry without ranges, from their start', async () => {
    const { registry, fetcher } = await withImage();
    registry.fault(blobPath, { noRange: true });
    registry.fault(blobPath, { noRange: true, cutAfter: 100_000, times: 1 });
    expect(await hashOf(await fetcher.blob('a/b', blobDigest, signal))).toBe(layer.sha256);
    expect(registry.log.map(({ status }) => status)).toEqual([200, 200]);
  });

  test('cut each time: three tries in all', async () => {
    const { registry, fetcher } = await withImage({ etags: false });
    registry.fault(blobPath, { cutAfter: 1000 });
    const fetched = await fetcher.blob('a/b', blobDigest, signal);
    await expect(all(fetched)).rejects.toMatchObject({ code: 'upstream_failed' });
    expect(registry.log.map(({ headers }) => headers.range)).toEqual([
      undefined,
      'bytes=1000-',
      'bytes=2000-',
    ]);
  });

  test('that break after their token has ended go on with a new one', async () => {
    const tokens = await startTokenService();
    const { registry, fetcher } = await withImage({ tokens });
    registry.fault(blobPath, { cutAfter: 100_000, times: 1 });
    await fetcher.headManifest('a/b', 'v1', signal);
    const fetched = await fetcher.blob('a/b', blobDigest, signal);
    tokens.revokeAll();
    registry.clearLog();
    expect(await hashOf(fetched)).toBe(layer.sha256);
    expect(registry.log.map(({ status }) => status)).toEqual([401, 206]);
    expect(tokens.log).toHaveLength(2);
  });
});

describe('blobs elsewhere', () => {
  const user = { kind: 'password', user: 'u', password: 'p' } as const;

  test('are fetched there, without credentials', async () => {
    const cdn = await startCdn();
    const { registry, fetcher } = await withImage({ cdn, basic: 'u:p' }, { credential: user });
    const fetched = await fetcher.blob('a/b', blobDigest, signal);
    expect(fetched.source).toBe(registry.url);
    expect(await hashOf(fetched)).toBe(layer.sha256);
    expect(await fetcher.headBlob('a/b', blobDigest, signal)).toBe(layer.size);
    expect(cdn.log.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
    for (const { headers } of cdn.log) expect(headers.authorization).toBeUndefined();
  });

  test.each([400, 401, 403, 404, 410])(
    'a URL that has expired (%i): one fresh one, once',
    async (status) => {
      const cdn = await startCdn();
      const { registry, fetcher } = await withImage({ cdn });
      for (const ask of [
        async () => sha256(await all(await fetcher.blob('a/b', blobDigest, signal))),
        async () => (await fetcher.headBlob('a/b', blobDigest, signal)) === layer.size,
      ]) {
        registry.clearLog();
        cdn.clearLog();
        const once = cdn.fault(/^/, { status, times: 1 });
        expect([layer.sha256, true]).toContain(await ask());
        expect([registry.log.length, cdn.log.length]).toEqual([2, 2]);
        expect(cdn.log[0]?.path).not.toBe(cdn.log[1]?.path);
        once();
        const always = cdn.fault(/^/, { status });
        await expect(ask()).rejects.toMatchObject({ code: 'upstream_failed' });
        expect([registry.log.length, cdn.log.length]).toEqual([4, 4]);
        always();
      }
    },
  );

  test('a resumed transfer gets a fresh URL as well', async () => {
    const cdn = await startCdn({ etags: false });
    const { registry, fetcher } = await withImage({ cdn });
    cdn.fault(/^/, { cutAfter: 100_000, times: 1 });
    const fetched = await fetcher.blob('a/b', blobDigest, signal);
    cdn.fault(/^/, { status: 403, times: 1 });
    expect(await hashOf(fetched)).toBe(layer.sha256);
    expect(cdn.log.map(({ status }) => status)).toEqual([200, 403, 206]);
    expect(registry.log).toHaveLength(3);
  });

  test('asking for a fresh URL is no failed try', async () => {
    const cdn = await startCdn();
    const { fetcher } = await withImage({ cdn });
    cdn.fault(/^/, { status: 503, times: 2 });
    cdn.fault(/^/, { status: 403, times: 1 });
    expect(await hashOf(await fetcher.blob('a/b', blobDigest, signal))).toBe(layer.sha256);
    expect(cdn.log.map(({ status }) => status)).toEqual([403, 503, 503, 200]);
  });

  test('a CDN that is asked too often is not asked again', async () => {
    const cdn = await startCdn();
    const { fetcher } = await withImage({ cdn });
    cdn.fault(/^/, { status: 429 });
    await expect(fetcher.blob('a/b', blobDigest, signal)).rejects.toMatchObject({
      code: 'rate_limited',
    });
    expect(cdn.log).toHaveLength(1);
  });

  test('a registry that has no such blob is asked once', async () => {
    const cdn = await startCdn();
    const { registry, fetcher } = await withImage({ cdn });
    const other = `sha256:${'0'.repeat(64)}`;
    await expect(fetcher.blob('a/b', other, signal)).rejects.toMatchObject({ code: 'not_found' });
    expect([registry.log.length, cdn.log.length]).toEqual([1, 0]);
  });

  test('on a link-local address are not fetched', async () => {
    const { registry, fetcher } = await withImage();
    registry.fault(blobPath, { redirect: 'http://169.254.169.254/', status: 307 });
    await expect(fetcher.blob('a/b', blobDigest, signal)).rejects.toMatchObject({
      code: 'upstream_failed',
      message: expect.stringMatching(/link-local/) as unknown,
    });
  });
});

describe('listings', () => {
  test('tags, page by page', async () => {
    const { registry, fetcher } = await withImage({ pageSize: 2 });
    for (const tag of ['v2', 'v3']) registry.addImage('a/b', tag, { layers: [] });
    const first = await fetcher.tags('a/b', '', signal);
    expect(JSON.parse(first.bytes.toString())).toEqual({ name: 'a/b', tags: ['v1', 'v2'] });
    expect(first).toMatchObject({
      contentType: 'application/json',
      link: '</v2/a/b/tags/list?last=v2&n=2>; rel="next"',
    });
    const last = await fetcher.tags('a/b', 'last=v2&n=2', signal);
    expect(JSON.parse(last.bytes.toString())).toEqual({ name: 'a/b', tags: ['v3'] });
    expect(last.link).toBeUndefined();
    expect(registry.log.map(({ url }) => url)).toEqual([
      '/v2/a/b/tags/list',
      '/v2/a/b/tags/list?last=v2&n=2',
    ]);
  });

  test('referrers', async () => {
    const { registry, image, fetcher } = await withImage();
    const artifactType = 'application/x-signature';
    const signature = registry.addImage('a/b', undefined, {
      layers: ['signed'],
      artifactType,
      subject: image,
    });
    const query = 'artifactType=application%2Fx-signature';
    const { bytes, contentType } = await fetcher.referrers('a/b', image.digest, query, signal);
    expect(contentType).toBe('application/vnd.oci.image.index.v1+json');
    expect(JSON.parse(bytes.toString())).toMatchObject({
      manifests: [{ digest: signature.digest, artifactType, size: signature.bytes.length }],
    });
    expect(registry.log.at(-1)?.url).toBe(`/v2/a/b/referrers/${image.digest}?${query}`);
  });

  test('no referrers API', async () => {
    const { image, fetcher } = await withImage({ referrers: false });
    await expect(fetcher.referrers('a/b', image.digest, '', signal)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('more than 4 MiB is refused', async () => {
    const { registry, fetcher } = await withImage();
    registry.fault(/^/, { body: Body.noise(4 * 1024 * 1024) });
    expect((await fetcher.tags('a/b', '', signal)).bytes.length).toBe(4 * 1024 * 1024);
    registry.fault(/^/, { body: Body.noise(4 * 1024 * 1024 + 1) });
    await expect(fetcher.tags('a/b', '', signal)).rejects.toMatchObject({ code: 'bad_content' });
  });

  test('a transfer that breaks is taken up again', async () => {
    const { registry, fetcher } = await withImage();
    registry.fault(/^/, { cutAfter: 5, times: 1 });
    const { bytes } = await fetcher.tags('a/b', '', signal);
    expect(JSON.parse(bytes.toString())).toMatchObject({ tags: ['v1'] });
    expect(registry.log).toHaveLength(2);
  });
});
