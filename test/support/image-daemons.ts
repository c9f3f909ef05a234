// Docker and containerd as the tests run them: as root, with all they keep in a home of their own, and in mounts of their own
// whose /etc and /run are the test's. Their mounts go with them.

import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  environmentIn,
  output,
  payloadBelow,
  type Environment,
  type ImageClient,
} from './image-clients.ts';
import { thisArchitecture } from './real-images.ts';
import { readmeBlock } from './readme.ts';
import { atEnd, atExit, eventually, tempDir } from './tmp.ts';

/** Runs the rest of its arguments with its first, a folder, as /etc. */
const IN_OWN_MOUNTS = 'mount --bind "$1" /etc; mount -t tmpfs tmpfs /run; shift; exec "$@"';

/** A folder with what programs want of /etc, and one file that README.md shows, with more behind it. */
function etcWith(home: string, file: string, host: string, more = ''): string {
  const etc = join(home, 'etc');
  const path = join(home, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, readmeBlock(file, host) + more);
  for (const name of ['group', 'passwd']) copyFileSync(join('/etc', name), join(etc, name));
  return etc;
}

interface Daemon {
  /** Asks it to end, and resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts a daemon and waits for its socket. It ends with the test. Throws an Error with the end of its output. */
async function startDaemon(
  command: readonly string[],
  etc: string,
  socket: string,
  env: Environment,
): Promise<Daemon> {
  const log = `${socket}.log`;
  const file = openSync(log, 'a');
  const child = spawn('unshare', ['--mount', 'sh', '-ec', IN_OWN_MOUNTS, 'sh', etc, ...command], {
    env,
    stdio: ['ignore', file, file],
  });
  closeSync(file);
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => {
      resolve();
    });
    child.once('exit', () => {
      resolve();
    });
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  atExit(() => child.kill('SIGTERM'));
  atEnd(stop);
  await eventually(`${command[0] ?? ''} listens`, () => isGone() || existsSync(socket));
  if (isGone()) {
    throw new Error(`${command.join(' ')} has ended:\n${readFileSync(log, 'utf8').slice(-2000)}`);
  }
  return { stop };
}

export interface User {
  readonly user: string;
  readonly password: string;
}

/** Docker of a folder of unpacked packages. A user logs in, and pulls by Larder's own name. */
export const docker = (folder: string, as?: User): ImageClient => ({
  name: 'docker',
  pull: async (host, image) => {
    if (!readFileSync('/proc/self/mounts', 'utf8').includes(' /sys/fs/cgroup')) {
      throw new Error(
        'Docker needs control groups mounted at /sys/fs/cgroup: this machine has none.',
      );
    }
    const home = tempDir();
    const env = pathWith(environmentIn(home), join(folder, 'usr/sbin'), join(folder, 'usr/bin'));
    const socket = join(home, 'socket');
    const data = join(home, 'data');
    const command = [
      'dockerd',
      ...['--host', `unix://${socket}`, '--pidfile', join(home, 'pid')],
      ...['--data-root', data, '--exec-root', join(home, 'exec'), '--storage-driver', 'vfs'],
      ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
    ];
    const daemon = await startDaemon(
      command,
      etcWith(home, '/etc/docker/daemon.json', host),
      socket,
      env,
    );
    const client = [join(folder, 'usr/bin/docker'), '--host', `unix://${socket}`];
    if (as) await output([...client, 'login', '-u', as.user, '-p', as.password, host], env);
    // of Docker Hub, as its users write it
    const name = as ? `${host}/${image}` : image.replace('docker.io/library/', '');
    await output([...client, 'pull', name], env);
    const config = await output([...client, 'image', 'inspect', '--format', '{{.Id}}', name], env);
    const payloadSha256 = payloadBelow(data);
    await daemon.stop();
    return { config, payloadSha256 };
  },
});

const HOSTS = '/etc/containerd/certs.d/_default/hosts.toml';

/** containerd of a folder of unpacked packages. A user stands in the file of the mirror. */
export const containerd = (name: string, folder: string, as?: User): ImageClient => ({
  name,
  pull: async (host, image) => {
    const home = tempDir();
    const bin = join(folder, 'usr/bin');
    const env = pathWith(environmentIn(home), bin);
    const socket = join(home, 'socket');
    const root = join(home, 'root');
    const settings = join(home, 'config.toml');
    writeFileSync(settings, containerdSettings(root, join(home, 'state'), socket));
    const command = ['containerd', '--config', settings];
    const daemon = await startDaemon(
      command,
      etcWith(home, HOSTS, host, as && headerOf(as, host)),
      socket,
      env,
    );
    const hosts = join(home, HOSTS, '../..');
    const ctr = [join(bin, 'ctr'), '--address', socket];
    await output(
      [...ctr, 'images', 'pull', '--hosts-dir', hosts, '--snapshotter', 'native', image],
      env,
    );
    const payloadSha256 = payloadBelow(join(root, 'io.containerd.snapshotter.v1.native'));
    const config = await configIn(ctr, image, env);
    await daemon.stop();
    return { config, payloadSha256 };
  },
});

/** As README.md has it, but over HTTP. */
const headerOf = ({ user, password }: User, host: string): string =>
  readmeBlock('what their `hosts.toml` has besides', host)
    .replace('https:', 'http:')
    .replace(btoa('alice:PASSWORD'), btoa(`${user}:${password}`));

/** `native` is the snapshotter that works on every file system. */
function containerdSettings(root: string, state: string, socket: string): string {
  const transfer = 'plugins."io.containerd.transfer.v1.local"';
  return [
    'version = 2',
    `root = "${root}"`,
    `state = "${state}"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    '[grpc]',
    `address = "${socket}"`,
    `[${transfer}]`,
    `[[${transfer}.unpack_config]]`,
    `platform = "linux/${thisArchitecture}"`,
    'snapshotter = "native"',
  ].join('\n');
}

interface Manifest {
  readonly manifests?: readonly { digest: string; platform?: { architecture: string } }[];
  readonly config?: { digest: string };
}

/** Digest of the configuration of an image in containerd's content store, of this machine's platform. */
async function configIn(ctr: readonly string[], image: string, env: Environment): Promise<string> {
  const listed = await output([...ctr, 'images', 'list', `name==${image}`], env);
  const read = async (digest = '') =>
    JSON.parse(await output([...ctr, 'content', 'get', digest], env)) as Manifest;
  const index = await read(/sha256:[0-9a-f]{64}/.exec(listed)?.[0]);
  const own = index.manifests?.find(({ platform }) => platform?.architecture === thisArchitecture);
  const { config } = await read(own?.digest);
  return config?.digest ?? 'none';
}

function pathWith(env: Environment, ...folders: readonly string[]): Environment {
  return { ...env, PATH: [...folders, env['PATH']].join(':') };
}
