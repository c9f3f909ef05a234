// Larder in front of mock registries, and what its answers below /v2/ must be like.

import { expect } from 'vitest';
import type { Body } from './body.ts';
import { request, type Reply, type RequestOptions } from './http.ts';
import type { Image } from './images.ts';
import { startLarderProcess } from './larder.ts';
import { startRegistry, type Registry, type RegistryOptions } from './registry.ts';
import { outcomeOf } from './replies.ts';
import { eventually, tempDir } from './tmp.ts';

/**
 * Larder before two registries, `main.test` and `other.test`; the options are the first one's. They end with the test or file.
 * `more`: other registries, as name=url.
 */
export async function startMirror(
  options: RegistryOptions = {},
  env: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
) {
  const registry = await startRegistry(options);
  const other = await startRegistry();
  const settings = {
    dir: tempDir(),
    env: {
      LARDER_OCI_UPSTREAMS: [`main.test=${registry.url}`, `other.test=${other.url}`, ...more].join(
        ',',
      ),
      LARDER_OCI_FIRST_BYTE_TIMEOUT: '5s',
      LARDER_STALL_TIMEOUT: '2s',
      ...env,
    },
  };
  const larder = await startLarderProcess(settings);
  const get = (path: string, requestOptions?: RequestOptions) =>
    request(larder.base, `/v2/${path}`, requestOptions);
  return { registry, other, larder, settings, get };
}

export const asked = (registry: Registry): string[] =>
  registry.log.map(({ method, path }) => `${method} ${path}`);

/** An error of the specification, with nothing in it of who is behind Larder. */
export function expectEnvelope(reply: Reply, status: number, code: string): void {
  expect(reply).toMatchObject({ status, complete: true });
  expect(reply.headers['content-type']).toBe('application/json');
  expect(reply.headers['cache-control']).toBe('no-store');
  const { errors } = JSON.parse(reply.text) as { errors: { code: string }[] };
  expect(errors.map((one) => one.code)).toEqual([code]);
  expect(reply.text).not.toMatch(/127\.0\.0\.1|localhost|https?:|bearer|realm|token/i);
}

/** A transfer that had begun and broke: what came are the first bytes, with nothing after them. */
export function expectBroken(reply: Reply, body: Body): void {
  expect(reply).toMatchObject({ status: 200, complete: false });
  expect(reply.error?.message).not.toMatch(/gave up/);
  expect(reply.length).toBeLessThan(body.size);
  expect(reply.body.equals(body.bytes().subarray(0, reply.length))).toBe(true);
}

/** Waits until a path below /v2/ is answered out of the store: a stash ends shortly after the transfer. */
export const stored = (base: string, path: string): Promise<boolean> =>
  eventually(`${path} is stored`, async () => {
    const reply = await request(base, `/v2/${path}`, { method: 'HEAD' });
    return outcomeOf(reply) === 'hit';
  });

/** Pulls an image with all that it names, and waits until it is kept. */
export async function pullAll(
  base: string,
  repository: string,
  reference: string,
  image: Image,
): Promise<void> {
  const get = (path: string) => request(base, `/v2/${repository}/${path}`);
  expect((await get(`manifests/${reference}`)).status).toBe(200);
  await stored(base, `${repository}/manifests/${image.digest}`);
  for (const { digest } of [image.config, ...image.layers]) {
    expect((await get(`blobs/${digest}`)).status).toBe(200);
    await stored(base, `${repository}/blobs/${digest}`);
  }
}
