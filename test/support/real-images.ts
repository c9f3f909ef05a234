// Images that clients can unpack, in a real registry.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Body } from './body.ts';
import { MEDIA_TYPES, pushBlob, pushManifest, type Descriptor } from './real-registry.ts';
import { tempDir } from './tmp.ts';

const MIB = 1024 * 1024;

/** The file that each image brings, as its layer names it. */
export const PAYLOAD = 'opt/payload';

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

/** An index of an image for amd64 and one for arm64, each with one layer of 2 MiB, under a tag. */
export async function pushMultiArch(
  base: string,
  repository: string,
  tag: string,
): Promise<MultiArchImage> {
  const amd64 = await pushPlatform(base, repository, 'amd64');
  const arm64 = await pushPlatform(base, repository, 'arm64');
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
): Promise<PlatformImage> {
  const payload = Body.noise(2 * MIB, `${repository} ${architecture}`);
  const tar = tarOf(PAYLOAD, payload.bytes());
  const layer = await pushBlob(base, repository, MEDIA_TYPES.gzippedLayer, gzipSync(tar));
  const diffId = createHash('sha256').update(tar).digest('hex');
  const json = JSON.stringify({
    architecture,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
  });
  const config = await pushBlob(base, repository, MEDIA_TYPES.config, json);
  const fields = { config, layers: [layer] };
  const manifest = await pushManifest(base, repository, undefined, MEDIA_TYPES.manifest, fields);
  return { manifest, config, layer, payloadSha256: payload.sha256 };
}

/** A tar of one file and its folders, all of them root's. */
function tarOf(name: string, bytes: Uint8Array): Buffer {
  const dir = tempDir();
  mkdirSync(join(dir, name, '..'), { recursive: true });
  writeFileSync(join(dir, name), bytes);
  const [top = ''] = name.split('/');
  return execFileSync('tar', ['-c', '--owner=0', '--group=0', '-C', dir, top], {
    maxBuffer: 16 * MIB,
  });
}
