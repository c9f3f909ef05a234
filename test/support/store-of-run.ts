// The store that Larder gets where a test does not say which: TEST_STORE=s3 gives each test file Ceph's gateway and a Redis,
// and each Larder a folder of its own there, so that the tests of the file store run unchanged on these two.

import path from 'node:path';

interface StoreOfRun {
  /** `dir` names the folder: a Larder that is started again on the same one finds what it had. */
  settings(dir: string): Readonly<Record<string, string>>;
}

/** Undefined: a folder on the disk. Started as the file is loaded, so that it ends with the file. */
export const storeOfRun: StoreOfRun | undefined =
  process.env['TEST_STORE'] === 's3' ? await startS3() : undefined;

async function startS3(): Promise<StoreOfRun> {
  // else no test has to load Amazon's client
  const { bucketOn, cephServer } = await import('./s3-servers.ts');
  const { startRedis } = await import('./redis.ts');
  const server = await cephServer();
  const redis = await startRedis();
  const bucket = await bucketOn(server);
  return {
    settings(dir) {
      const name = path.basename(dir);
      return {
        LARDER_STORAGE: 's3',
        LARDER_S3_BUCKET: bucket,
        LARDER_S3_PREFIX: name,
        LARDER_S3_ENDPOINT: server.endpoint,
        LARDER_S3_FORCE_PATH_STYLE: 'true',
        LARDER_S3_ACCESS_KEY_ID: server.accessKeyId,
        LARDER_S3_SECRET_ACCESS_KEY: server.secretAccessKey,
        LARDER_REDIS_URL: redis.url,
        LARDER_REDIS_PREFIX: `${name}:`,
      };
    },
  };
}
