// A purge on one of three replicas, on S3 and Redis, holds for all.

import { expect, test } from 'vitest';
import { request } from '../support/http.ts';
import type { RunningLarder } from '../support/larder.ts';
import { ADMIN, purge } from '../support/purges.ts';
import { startRedis } from '../support/redis.ts';
import {
  Cluster,
  heldHerd,
  herd,
  repliesOf,
  tally,
  whenIdle,
  whenReady,
  type Artifact,
} from '../support/replicas.ts';
import { outcomeOf, whenStored } from '../support/replies.ts';
import { versityServer } from '../support/s3-servers.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;

const server = await versityServer();
const redis = await startRedis();
const cluster = await Cluster.on(server, redis.url);
const larders = await cluster.startThree(ADMIN);

/** As a purge names it. */
function nameOf({ key, body }: Artifact) {
  const [, module = '', version = ''] = /^go\/(.*)\/@v\/(.*)\.zip$/.exec(key) ?? [];
  return module === ''
    ? { oci: `main.test/made/app@sha256:${body.sha256}` }
    : { go: `${module}@${version}` };
}

/** Whether each has it near or in the store. A HEAD brings nothing in. */
const held = (path: string): Promise<boolean[]> =>
  Promise.all(
    larders.map(async ({ base }) => {
      return outcomeOf(await request(base, path, { method: 'HEAD' })) === 'hit';
    }),
  );

/** Small ones are in the memory of each replica that has served them. */
async function everywhere(artifact: Artifact): Promise<void> {
  for (const { base } of larders) await whenStored(base, artifact.path);
  expect(await held(artifact.path)).toEqual([true, true, true]);
}

async function expectPurgedEverywhere(by: RunningLarder, artifact: Artifact): Promise<void> {
  await everywhere(artifact);
  const { purged, freedBytes } = await purge(by.base, nameOf(artifact));
  expect([purged.length, freedBytes]).toEqual([1, artifact.body.size]);
  await eventually('none has it', async () => !(await held(artifact.path)).includes(true));
  expect(await cluster.storedAt(artifact)).toBeUndefined();
  const before = artifact.gets().length;
  expect(tally(await repliesOf(herd(larders, artifact.path, 6)), artifact.body)).toEqual({
    right: 6,
  });
  expect(artifact.gets().length).toBeGreaterThan(before);
}

test.for(['zip', 'blob'] as const)('of a %s, small and large, that each has', async (kind) => {
  for (const size of [1000, 2 * MIB]) await expectPurgedEverywhere(larders[0], cluster[kind](size));
});

test('of what another replica fetches: its clients get it, and nobody keeps it', async () => {
  const artifact = cluster.zip(4 * MIB);
  const { gate, own } = await heldHerd(larders[1], artifact, { count: 3, holdAfter: 2 * MIB });
  await purge(larders[0].base, nameOf(artifact));
  // a HEAD that finds a fill under way is not passed on
  const heads = () =>
    artifact.origin.requests(artifact.path).filter((one) => one.method === 'HEAD');
  await eventually('the fill is nobody’s any more', async () => {
    await request(larders[1].base, artifact.path, { method: 'HEAD' });
    return heads().length > 0;
  });
  gate.open();
  expect(tally(await repliesOf(own), artifact.body)).toEqual({ right: 3 });
  await whenIdle(larders);
  expect(await cluster.storedAt(artifact)).toBeUndefined();
  expect(await held(artifact.path)).toEqual([false, false, false]);
});

test('by all of them at once is counted once', async () => {
  const artifact = cluster.blob(2 * MIB);
  await everywhere(artifact);
  const all = await Promise.all(
    [...larders, ...larders].map(({ base }) => purge(base, nameOf(artifact))),
  );
  expect(all.reduce((bytes, { freedBytes }) => bytes + freedBytes, 0)).toBe(artifact.body.size);
});

test('holds for all while Redis is away too', async () => {
  const artifacts = [cluster.zip(1000), cluster.blob(1000)];
  for (const artifact of artifacts) await everywhere(artifact);
  await redis.kill();
  try {
    await whenReady(larders, 1);
    for (const artifact of artifacts) await expectPurgedEverywhere(larders[2], artifact);
  } finally {
    await redis.restart();
  }
  await whenReady(larders);
  await expectPurgedEverywhere(larders[1], cluster.zip(1000));
});
