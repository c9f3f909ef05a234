// Images that clients can unpack, in a real registry.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Body } from './body.ts';
import { MEDIA_TYPES, pushBlob, pushManifest, type Descriptor } from './real-registry.ts';
import { tempDir } from './tmp.ts';

const MIB = 1024 * 1024;

/** The file that each image brings, as its layer names it. */
export const PAYLOAD = 'opt/payload';

/** The program of an image that can be run. */
const PROGRAM = 'opt/program';

export interface PlatformImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layer: Descriptor;
  /** Of the file PAYLOAD, hex. */
  readonly payloadSha256: string;
}

export interface MultiArchImage {
  readonly index: Descriptor;
  readonly amd64: PlatformImage;
  readonly arm64: PlatformImage;
}

/** The architecture of this machine, as image indexes write it. */
export const thisArchitecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
export const otherArchitecture = process.arch === 'arm64' ? 'amd64' : 'arm64';

/**
 * An index of an image for amd64 and one for arm64, each with one layer of 2 MiB, under a tag. With the path of a program,
 * which needs nothing else, this machine's own image brings and runs that.
 */
export async function pushMultiArch(
  base: string,
  repository: string,
  tag: string,
  program?: string,
): Promise<MultiArchImage> {
  const push = (architecture: string) =>
    pushPlatform(
      base,
      repository,
      architecture,
      architecture === thisArchitecture ? program : undefined,
    );
  const amd64 = await push('amd64');
  const arm64 = await push('arm64');
  const manifests = Object.entries({ amd64, arm64 }).map(([architecture, { manifest }]) => ({
    ...manifest,
    platform: { architecture, os: 'linux' },
  }));
  const index = await pushManifest(base, repository, tag, MEDIA_TYPES.index, { manifests });
  return { index, amd64, arm64 };
}

async function pushPlatform(
  base: string,
  repository: string,
  architecture: string,
  program: string | undefined,
): Promise<PlatformImage> {
  const payload = Body.noise(2 * MIB, `${repository} ${architecture}`);
  const tar = tarOf(payload.bytes(), program);
  const layer = await pushBlob(base, repository, MEDIA_TYPES.gzippedLayer, gzipSync(tar));
  const diffId = createHash('sha256').update(tar).digest('hex');
  const json = JSON.stringify({
    architecture,
    os: 'linux',
    config: program === undefined ? {} : { Entrypoint: [`/${PROGRAM}`] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
  });
  const config = await pushBlob(base, repository, MEDIA_TYPES.config, json);
  const fields = { config, layers: [layer] };
  const manifest = await pushManifest(base, repository, undefined, MEDIA_TYPES.manifest, fields);
  return { manifest, config, layer, payloadSha256: payload.sha256 };
}

/** A tar of PAYLOAD, of PROGRAM where there is one, and of their folder, all of them root's. */
function tarOf(payload: Uint8Array, program: string | undefined): Buffer {
  const dir = tempDir();
  mkdirSync(join(dir, PAYLOAD, '..'));
  writeFileSync(join(dir, PAYLOAD), payload);
  if (program !== undefined) copyFileSync(program, join(dir, PROGRAM));
  const [top = ''] = PAYLOAD.split('/');
  return execFileSync('tar', ['-c', '--owner=0', '--group=0', '-C', dir, top], {
    maxBuffer: 16 * MIB,
  });
}
