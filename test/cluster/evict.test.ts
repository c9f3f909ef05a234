// Two replicas on one bucket, capped: they count and evict as one (issue 7, eviction).

import { expect, test } from 'vitest';
import { request } from '../support/http.ts';
import { ADMIN } from '../support/purges.ts';
import { startRedis } from '../support/redis.ts';
import { Cluster, bytesIn } from '../support/replicas.ts';
import { expectBytes } from '../support/replies.ts';
import { cephServer } from '../support/s3-servers.ts';
import { eventually } from '../support/tmp.ts';

const KIB = 1024;
const LIMIT = 2_000_000;

const server = await cephServer();
const redis = await startRedis();

test(
  'what passes is ten times what may be kept: nothing breaks, each unit goes once, and both know the size',
  { timeout: 400_000 },
  async () => {
    const cluster = await Cluster.on(server, redis.url);
    const env = { ...ADMIN, LARDER_MAX_SIZE: String(LIMIT) };
    const larders = [await cluster.start(env), await cluster.start(env)];
    const artifacts = Array.from({ length: 50 }, (_, i) =>
      i % 2 === 0 ? cluster.zip(400 * KIB) : cluster.blob(400 * KIB),
    );
    const queue = [...artifacts.entries()];
    const client = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const [i, { path, body }] = next;
        const { base = '' } = larders[i % 2] ?? {};
        expectBytes(await request(base, path), body);
      }
    };
    await Promise.all(Array.from({ length: 4 }, client));
    const headers = { authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}` };
    const sizes = () =>
      Promise.all(
        larders.map(async ({ base }) => {
          const { text } = await request(base, '/admin/stats', { headers });
          return (JSON.parse(text) as { bytes: number | null }).bytes;
        }),
      );
    // what the other one has stored is told once a minute
    await eventually(
      'the limit is reached, and both know the same size',
      async () => {
        const held = await bytesIn(server, cluster.bucket);
        return held <= LIMIT && (await sizes()).every((size) => size === held);
      },
      240_000,
    );
    const evicted = larders.flatMap((larder) =>
      larder.log().filter(({ msg }) => msg === 'evicted'),
    );
    const names = evicted.map(({ unit }) => unit);
    expect(new Set(names).size).toBe(names.length);
    const bytes = evicted.reduce((sum, line) => sum + Number(line['bytes']), 0);
    const total = artifacts.reduce((sum, { body }) => sum + body.size, 0);
    expect(bytes).toBe(total - (await bytesIn(server, cluster.bucket)));
    // and whatever is asked for is there or comes anew
    for (const { path, body } of artifacts.slice(0, 6))
      for (const { base } of larders) expectBytes(await request(base, path), body);
  },
);
