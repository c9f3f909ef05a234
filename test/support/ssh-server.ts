// The real sshd on loopback, for git: with a host key and a user's key of its own, and nothing of the machine's settings.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePorts, startDaemon } from './daemon.ts';
import { atEnd, eventually, tempDir } from './tmp.ts';

export interface SshServer {
  /** `ssh://USER@127.0.0.1:PORT`: an absolute path follows. */
  readonly url: string;
  /** File of the key that it lets in. */
  readonly keyFile: string;
  /** File that names its host key. */
  readonly knownHostsFile: string;
  /** The same with another key, as of a host in the middle. */
  readonly otherKnownHostsFile: string;
  /** File of a key that it does not know. */
  readonly otherKeyFile: string;
}

const SETTINGS = [
  'StrictModes no', // the files are below a folder for all
  'UsePAM no',
  'PasswordAuthentication no',
  'KbdInteractiveAuthentication no',
  'PermitRootLogin prohibit-password',
  'PidFile none',
  'UseDNS no',
];

/** Starts one; it ends with the test or file. */
export async function startSshServer(): Promise<SshServer> {
  const dir = tempDir();
  const [port = 0] = await freePorts(1);
  const keys = ['host', 'other-host', 'user', 'other-user'].map((name) => newKey(join(dir, name)));
  const [hostKey = '', otherHostKey = '', keyFile = '', otherKeyFile = ''] = keys;
  const known = (name: string, key: string) => {
    const file = join(dir, name);
    writeFileSync(file, `[127.0.0.1]:${String(port)} ${readFileSync(`${key}.pub`, 'utf8')}`);
    return file;
  };
  const settings = join(dir, 'sshd_config');
  writeFileSync(
    settings,
    [
      `ListenAddress 127.0.0.1:${String(port)}`,
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${keyFile}.pub`,
      ...SETTINGS,
      '',
    ].join('\n'),
  );
  // where a service of the system would have made it
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const daemon = startDaemon('sshd', sshd(), ['-D', '-e', '-f', settings], { folder: dir });
  atEnd(() => daemon.kill());
  await eventually('sshd listens', async () => {
    daemon.throwIfEnded();
    return listens(port);
  });
  return {
    url: `ssh://${userInfo().username}@127.0.0.1:${String(port)}`,
    keyFile,
    otherKeyFile,
    knownHostsFile: known('known_hosts', hostKey),
    otherKnownHostsFile: known('other_known_hosts', otherHostKey),
  };
}

function newKey(file: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file]);
  return file;
}

/** It starts itself anew for each client, and wants its whole path for that. */
function sshd(): string {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, 'sshd')).find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new Error('There is no sshd here: scripts/install-tools.sh test installs it.');
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => {
      end(true);
    });
    socket.once('error', () => {
      end(false);
    });
  });
