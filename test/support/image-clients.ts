// Real programs that pull images, each in a home of its own: nothing of the machine's configuration is read, and nothing
// outside of the home is written, but for the cache of blob locations that they keep in /var/lib/containers for root.

import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { startLarderProcess, type RunningLarder, type Settings } from './larder.ts';
import { PAYLOAD } from './real-images.ts';
import type { RealRegistry } from './real-registry.ts';
import { readmeBlock } from './readme.ts';
import { filesBelow, tempDir } from './tmp.ts';

export type Environment = Readonly<Record<string, string>>;

/** What a client has after a pull into storage of its own. */
export interface Pulled {
  /** Digest of the image's configuration. */
  readonly config: string;
  /** SHA-256 of the file PAYLOAD as it came out of the layer, hex. */
  readonly payloadSha256: string;
}

export interface ImageClient {
  readonly name: string;
  /** Pulls for one architecture, by default its own choice, into fresh storage. `host`: Larder's, to which it is pointed. */
  readonly pull: (host: string, image: string, architecture?: string) => Promise<Pulled>;
}

const LIMIT_MS = 100_000;

/** Stops the registry, and starts Larder again on its store with every tag out of date. Resolves to its host and port. */
export async function hostWithout(
  registry: RealRegistry,
  larder: RunningLarder,
  env: Settings,
): Promise<string> {
  await registry.stop();
  await larder.stop();
  const settings = { dir: larder.dir, env: { ...env, LARDER_TAG_TTL: '0s' } };
  return new URL((await startLarderProcess(settings)).base).host;
}

export const sha256 = (bytes: string | Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/**
 * An environment with a home of its own, where every address that is not loopback is out of reach: a client that turns away
 * from Larder fails.
 */
export function environmentIn(home: string): Environment {
  const nobody = 'http://127.0.0.1:1';
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    TMPDIR: home,
    XDG_RUNTIME_DIR: home,
    HTTP_PROXY: nobody,
    HTTPS_PROXY: nobody,
  };
}

/** Runs a command to its end and resolves to its standard output. Rejects with what it said on the other one. */
export async function output(
  [command = '', ...args]: readonly string[],
  env: Environment,
): Promise<string> {
  const options = { env, cwd: env['HOME'], timeout: LIMIT_MS, maxBuffer: 2 ** 26 };
  const { stdout } = await promisify(execFile)(command, args, options);
  return stdout.trim();
}

/** Environment of skopeo, podman and buildah, set up for Larder as README.md says. */
export function containersEnvironment(host: string): Environment {
  const home = tempDir();
  const write = (name: string, content: string) => {
    const file = join(home, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  };
  const drop = '.config/containers/registries.conf.d/larder.conf';
  write(drop, readmeBlock('/etc/containers/registries.conf.d/larder.conf', host));
  write('.config/containers/registries.conf', '');
  write('.config/containers/registries.d/empty.yaml', '');
  write('.config/containers/policy.json', '{"default":[{"type":"insecureAcceptAnything"}]}');
  return {
    ...environmentIn(home),
    REGISTRY_AUTH_FILE: write('auth.json', '{}'),
    CONTAINERS_CONF: write(
      'containers.conf',
      [
        '[engine]',
        'cgroup_manager = "cgroupfs"',
        'events_logger = "none"',
        'lock_type = "file"', // the other kind is one for all of the machine
        `tmp_dir = "${home}/libpod"`,
        '[network]',
        `network_config_dir = "${home}/networks"`,
      ].join('\n'),
    ),
    CONTAINERS_STORAGE_CONF: write(
      'storage.conf',
      `[storage]\ndriver = "vfs"\ngraphroot = "${home}/storage"\nrunroot = "${home}/run"\n`,
    ),
  };
}

const skopeo: ImageClient = {
  name: 'skopeo',
  pull: async (host, image, architecture) => {
    const env = containersEnvironment(host);
    const arch = architecture === undefined ? [] : ['--override-arch', architecture];
    const dir = join(env['HOME'] ?? '', 'image');
    await output(['skopeo', ...arch, 'copy', `docker://${image}`, `dir:${dir}`], env);
    return pulledDir(dir);
  },
};

/** What `skopeo copy … dir:` wrote. */
export function pulledDir(dir: string): Pulled {
  const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as {
    config: { digest: string };
    layers: { digest: string }[];
  };
  const blob = (digest = '') => join(dir, digest.replace('sha256:', ''));
  const layer = blob(manifest.layers[0]?.digest);
  const payload = execFileSync('tar', ['-xzOf', layer, PAYLOAD], { maxBuffer: 2 ** 26 });
  return {
    config: `sha256:${sha256(readFileSync(blob(manifest.config.digest)))}`,
    payloadSha256: sha256(payload),
  };
}

/** Podman and Buildah: both keep images in containers/storage, and print the ID of what they pulled. */
const storing = (name: string): ImageClient => ({
  name,
  pull: async (host, image, architecture) => {
    const env = containersEnvironment(host);
    const arch = architecture === undefined ? [] : ['--arch', architecture];
    const id = await output([name, 'pull', '--quiet', ...arch, image], env);
    return {
      config: `sha256:${id}`,
      payloadSha256: payloadBelow(join(env['HOME'] ?? '', 'storage')),
    };
  },
});

/** SHA-256 of the file PAYLOAD where a client unpacked it, hex. Throws where there is none, or more than one. */
export function payloadBelow(storage: string): string {
  const [file, ...others] = filesBelow(storage).filter((one) => one.endsWith(`/${PAYLOAD}`));
  if (file === undefined || others.length > 0) {
    throw new Error(`There is not one ${basename(PAYLOAD)} below ${storage}.`);
  }
  return sha256(readFileSync(file));
}

export const containersClients: readonly ImageClient[] = [
  skopeo,
  storing('podman'),
  storing('buildah'),
];
