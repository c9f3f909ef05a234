// Larder in a container of Docker, where TEST_IMAGE names its image: in place of the process that test/support/larder.ts would
// start, and seen by the tests as one. The image's own user, nothing writable but the folders of the test, no capability,
// 256 MB of memory. scripts/image/test.sh starts the engine.

import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './tmp.ts';

type Settings = Readonly<Record<string, string>>;

/** Something that runs Larder. */
export interface Running {
  /** Ends with it, and has its output and exit code. */
  readonly child: ChildProcessWithoutNullStreams;
  /** Of the program itself. Throws when it is gone. */
  readonly pid: () => number;
  readonly kill: (signal: NodeJS.Signals) => void;
}

/** Undefined: the tests start processes. */
export const imageOfRun = process.env['TEST_IMAGE'];

/** What every container of Larder may not do, as options of `docker run`. */
export const CONFINED = [
  ...['--network', 'host', '--read-only', '--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges', '--memory', '256m', '--memory-swap', '256m'],
] as const;

/** Runs `docker` to its end and gives what it said. Throws an Error with its complaint. */
export const docker = (...args: readonly string[]): string =>
  execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

/** Folders of tests that are named in these texts, each once. */
function testFolders(texts: readonly string[]): string[] {
  const begin = join(tmpdir(), 'larder-test-').replaceAll('.', '\\.');
  const name = new RegExp(`${begin}\\w+`, 'g');
  return [...new Set(texts.flatMap((text) => text.match(name) ?? []))];
}

/** Starts it in the foreground. PATH and HOME are the image's own, unless the test gives them. */
export function startContainer(
  image: string,
  args: readonly string[],
  env: Settings,
  cwd: string,
): Running {
  const name = `larder-test-${randomUUID()}`;
  const folders = testFolders([...Object.values(env), ...args, cwd]);
  // the image's user; root, who runs the tests, may write there all the same
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true });
    execFileSync('chown', ['-R', '65532:65532', folder]);
  }
  const options = [
    ...['--rm', '--interactive', '--name', name, '--workdir', cwd, ...CONFINED],
    ...folders.flatMap((folder) => ['--volume', `${folder}:${folder}`]),
    ...Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
  ];
  const child = spawn('docker', ['run', ...options, image, ...args], {
    stdio: 'pipe',
  });
  const remove = () => {
    if (child.exitCode === null && child.signalCode === null) docker('rm', '--force', name);
  };
  atExit(remove);
  return {
    child,
    pid: () => Number(docker('inspect', '--format', '{{.State.Pid}}', name)),
    kill(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      try {
        docker('kill', '--signal', signal, name);
      } catch {
        // it has ended meanwhile, or was never begun
        child.kill(signal);
      }
    },
  };
}
