// An image of this machine's redis-server, for what the chart takes from Docker Hub.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { thisArchitecture } from './real-images.ts';
import { MEDIA_TYPES, pushBlob, pushManifest } from './real-registry.ts';

/** The program, and the libraries that it is linked to: nothing else is in it. */
export async function pushRedisImage(base: string, repository: string, tag: string): Promise<void> {
  const said = (command: string, ...args: string[]) =>
    execFileSync(command, args, { encoding: 'utf8' });
  const program = said('sh', '-c', 'command -v redis-server').trim();
  const libraries = [...said('ldd', program).matchAll(/(\/\S+) \(0x/g)].map(
    ([, file = '']) => file,
  );
  const tar = execFileSync(
    'tar',
    ['--create', '--dereference', '--absolute-names', '--file=-', program, ...libraries],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  const layer = await pushBlob(base, repository, MEDIA_TYPES.gzippedLayer, gzipSync(tar));
  const config = await pushBlob(
    base,
    repository,
    MEDIA_TYPES.config,
    JSON.stringify({
      architecture: thisArchitecture,
      os: 'linux',
      config: { Env: ['PATH=/usr/bin'] },
      rootfs: {
        type: 'layers',
        diff_ids: [`sha256:${createHash('sha256').update(tar).digest('hex')}`],
      },
    }),
  );
  await pushManifest(base, repository, tag, MEDIA_TYPES.manifest, { config, layers: [layer] });
}
