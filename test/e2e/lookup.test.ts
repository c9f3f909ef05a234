// `larder lookup` as a person or a script meets it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Gate } from '../support/faults.ts';
import { runLarder, startVerb, type Settings } from '../support/larder.ts';
import { asked, startMirror } from '../support/mirror.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { eventually, tempDir } from '../support/tmp.ts';

/** What there is under `app:1`. */
async function registryWithImage() {
  const registry = await startRegistry();
  const image = registry.addImage('app', '1', { layers: ['one'] });
  return { registry, image, env: settingsFor(registry) };
}

const settingsFor = (...registries: readonly Registry[]): Settings => ({
  LARDER_OCI_UPSTREAMS: registries.map(({ url }, i) => `r${String(i)}.test=${url}`).join(','),
});

/** With names as lines of the input. */
const lookup = (env: Settings, names: readonly string[], ...options: readonly string[]) =>
  runLarder(['lookup', ...options, '-'], { env, input: names.map((name) => `${name}\n`).join('') });

const jsonOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('found, missing, refused, failing, malformed, not listed: a line each, in the order of the names, as they were given', async () => {
  const { registry, image, env } = await registryWithImage();
  const down = await startRegistry();
  await down.down();
  registry.fault(/secret/, { status: 403 });
  registry.fault(/locked/, { status: 401 });
  registry.fault(/broken/, { status: 503 });
  const names = [
    'r0.test/app:1',
    'R0.test/app:1',
    'r0.test/app:2',
    'r0.test/secret',
    'r0.test/locked',
    'r0.test/broken:1',
    'r1.test/app',
    'R0.test/App',
    'elsewhere.test/app',
    `r0.test/app@${image.digest}`,
  ];
  const run = await lookup(settingsFor(registry, down), names, '--json');
  expect(run).toMatchObject({ code: 1, signal: null });
  const { digest, mediaType, bytes } = image;
  const found = { digest, mediaType, size: bytes.length };
  const failed = (why: string) => ({ error: expect.stringContaining(why) as string });
  expect(jsonOf(run.stdout)).toEqual(
    [
      found,
      found,
      { digest: null },
      { digest: null },
      { digest: null },
      failed('answers 503'),
      failed('connection refused'),
      failed('a repository name has'),
      failed('elsewhere.test is no registry that is asked'),
      found,
    ].map((answer, i) => ({ name: names[i], ...answer })),
  );
  expect(run.stderr).toBe('10 looked up, 4 failed\n');
  // and the fields in their order
  expect(run.stdout.split('\n')[0]).toBe(JSON.stringify({ name: names[0], ...found }));

  const plain = await runLarder(['lookup', 'r0.test/app:1', 'r0.test/app:2'], { env });
  expect(plain).toMatchObject({ code: 0, stderr: '2 looked up, 0 failed\n' });
  expect(plain.stdout).toBe(`r0.test/app:1 ${digest}\nr0.test/app:2 null\n`);
});

test('a registry that is asked too often is waited for: every name is answered, or has failed when its time is over', async () => {
  const { registry, image, env } = await registryWithImage();
  const tags = Array.from({ length: 20 }, (_, i) => `t${String(i)}`);
  for (const tag of tags) registry.addManifest('app', tag, image.bytes, image.mediaType);
  const mended = registry.fault(/manifests/, {
    status: 429,
    headers: { 'retry-after': '1' },
    times: 3,
  });
  const names = tags.map((tag) => `r0.test/app:${tag}`);
  const all = await lookup(env, names, '--json');
  expect([all.code, jsonOf(all.stdout).map(({ digest }) => digest)]).toEqual([
    0,
    tags.map(() => image.digest),
  ]);
  mended();
  registry.fault(/manifests/, { status: 429 });
  registry.clearLog();
  const none = await lookup(env, names, '--json', '--timeout', '2500ms');
  expect([none.code, jsonOf(none.stdout).map(({ error }) => typeof error)]).toEqual([
    1,
    tags.map(() => 'string'),
  ]);
  const asked = new Map<string, number>();
  for (const { path } of registry.log) asked.set(path, (asked.get(path) ?? 0) + 1);
  expect(Math.max(...asked.values())).toBeLessThanOrEqual(3);
});

test('a name is asked for once, however often it comes and however it is written; missing and failing ones too', async () => {
  const { registry, env } = await registryWithImage();
  registry.fault(/broken/, { status: 400 });
  const some = [
    'r0.test/app:1',
    'R0.TEST/app:1',
    'r0.test/app:9',
    'r0.test/broken',
    'r0.test/broken:latest',
  ];
  const run = await lookup(env, Array.from({ length: 100 }, () => some).flat());
  expect(run.code).toBe(1);
  expect(run.stdout.split('\n')).toHaveLength(501);
  expect(asked(registry).sort()).toEqual([
    'HEAD /v2/app/manifests/1',
    'HEAD /v2/app/manifests/9',
    'HEAD /v2/broken/manifests/latest',
  ]);
});

test('no name waits for another, and no more are asked at once than was said', async () => {
  const { registry, env } = await registryWithImage();
  const gate = new Gate();
  registry.fault(/slow/, { gate });
  const names = Array.from({ length: 200 }, (_, i) =>
    i === 0 ? 'r0.test/slow' : `r0.test/app:${String(i)}`,
  );
  const verb = startVerb(['lookup', '--parallel', '3', '-'], env);
  verb.child.stdin.end(names.join('\n'));
  await eventually('all others are asked', () => registry.log.length === 200);
  expect(verb.stdout()).toBe('');
  gate.open();
  expect(await verb.ended).toEqual({ code: 0, signal: null });
  expect(verb.stdout().split('\n').slice(0, 2)).toEqual([
    'r0.test/slow null',
    expect.stringMatching(/^r0\.test\/app:1 sha256:/),
  ]);

  registry.clearLog();
  const both = new Gate();
  registry.fault(/app/, { gate: both });
  const few = startVerb(['lookup', '--parallel', '3', '-'], env);
  few.child.stdin.end(names.slice(1, 10).join('\n'));
  await eventually('three are asked', () => both.arrivals === 3);
  both.open();
  await few.ended;
  expect(registry.log).toHaveLength(9);
});

test('a line is said before the next name comes; Ctrl-C ends it, after what was done', async () => {
  const { registry, image, env } = await registryWithImage();
  registry.fault(/slow/, { hang: true });
  const verb = startVerb(['lookup', '-'], env);
  verb.child.stdin.write('r0.test/app:1\n');
  const first = `r0.test/app:1 ${image.digest}\n`;
  await eventually('the first line', () => verb.stdout() === first);
  verb.child.stdin.write('r0.test/slow\nr0.test/app:2\n');
  await eventually('both are asked', () => registry.log.length === 3);
  await eventually('the last one is answered', () =>
    registry.log.every(({ path, state }) => path.includes('slow') || state === 'done'),
  );
  verb.child.kill('SIGINT');
  expect(await verb.ended).toEqual({ code: 1, signal: null });
  expect(verb.stdout().replace('r0.test/app:2 null\n', '')).toBe(first);
  expect(verb.stderr()).toBe('stopped; what was done until then stays done\n');
});

test('a name has its time, tries included', async () => {
  const { registry, env } = await registryWithImage();
  registry.fault(/slow/, { hang: true });
  const run = await lookup(env, ['r0.test/slow', 'r0.test/app:1'], '--timeout', '300ms');
  expect(run.code).toBe(1);
  expect(run.stdout).toMatch(/^r0\.test\/slow error: .*300ms\nr0\.test\/app:1 sha256:.*\n$/);
});

test('whoever reads the result has gone', async () => {
  const { registry, env } = await registryWithImage();
  const verb = startVerb(['lookup', '-'], env);
  verb.child.stdin.write('r0.test/app:1\n');
  await eventually('a line', () => verb.stdout() !== '');
  verb.child.stdout.destroy();
  verb.child.stdin.write('r0.test/app:2\nr0.test/app:3\nr0.test/app:4\n');
  expect(await verb.ended).toMatchObject({ code: 1, signal: null });
  expect(verb.stderr()).not.toMatch(/EPIPE|^\s+at /m);
  expect(registry.log.length).toBeGreaterThan(0);
});

test('indexes: one line each, null for none', async () => {
  const { image, env } = await registryWithImage();
  const run = await lookup(env, ['r0.test/app:1', 'r0.test/app:2', 'App'], '--index');
  expect(run.code).toBe(1);
  const [index, none, bad] = run.stdout
    .split('\n')
    .map((line) => line && (JSON.parse(line) as object));
  expect(index).toMatchObject({
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ digest: image.digest, platform: { os: 'linux', architecture: 'amd64' } }],
  });
  expect([none, bad]).toEqual([null, { name: 'App', error: expect.any(String) as string }]);
});

test('credentials and rules are those of the server', async () => {
  const registry = await startRegistry({ basic: 'robot:secret' });
  const image = registry.addImage('app', '1', { layers: ['one'] });
  const dir = tempDir();
  const auth = { username: 'robot', password: 'secret' };
  writeFileSync(join(dir, 'auth.json'), JSON.stringify({ auths: { 'r0.test': auth } }));
  writeFileSync(
    join(dir, 'rules.yaml'),
    'oci: [{match: "r0.test/old", deny: "use r0.test/app"}]\n',
  );
  const env = { ...settingsFor(registry), LARDER_OCI_AUTH_FILE: join(dir, 'auth.json') };
  const rules = { LARDER_RULES_FILE: join(dir, 'rules.yaml') };
  const names = ['r0.test/app:1', 'r0.test/old'];
  expect((await lookup({ ...env, ...rules }, names)).stdout).toBe(
    `r0.test/app:1 ${image.digest}\nr0.test/old error: use r0.test/app\n`,
  );
  expect(asked(registry).filter((line) => line.includes('old'))).toEqual([]);
  expect((await lookup({ ...env, LARDER_OFFLINE: 'true' }, names.slice(0, 1))).stdout).toMatch(
    /error: not asked: Larder is offline/,
  );
  expect((await lookup(settingsFor(registry), names)).stdout).toBe(
    'r0.test/app:1 null\nr0.test/old null\n',
  );
});

test('through a server, which knows the registries and their credentials', async () => {
  const { registry, other, larder } = await startMirror({ basic: 'robot:secret' });
  const image = other.addImage('app', '1', { layers: ['one'] });
  const names = ['other.test/app:1', 'other.test/app:2', 'app:1', 'elsewhere.test/app'];
  const run = await lookup({ LARDER_OFFLINE: 'true' }, names, '--server', larder.base);
  expect(run.code).toBe(1);
  const host = new URL(larder.base).host;
  expect(run.stdout.split('\n')).toEqual([
    `other.test/app:1 ${image.digest}`,
    'other.test/app:2 null',
    // of the server's default registry, which refuses it
    'app:1 null',
    `elsewhere.test/app error: ${host} does not mirror this registry`,
    '',
  ]);
  expect(registry.log.length).toBeGreaterThan(0);
});

test.for([
  [['--frobnicate'], '--frobnicate'],
  [['--parallel', '0', 'x'], '--parallel is a number'],
  [['--timeout', 'soon', 'x'], '--timeout is a duration'],
  [['a', '-'], '- stands alone'],
  [['--server', 'larder:3000', 'x'], '--server is no address'],
] as const)('used wrongly: %j', async ([args, sentence]) => {
  const run = await runLarder(['lookup', ...args]);
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(run.stderr).toContain(sentence);
});

test('help needs no settings, and has examples', async () => {
  const run = await runLarder(['lookup', '--help'], { env: { LARDER_PORT: 'many' } });
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^Usage: larder lookup[^]*Examples:/);
});

test('far more lines than are held at once', async () => {
  const { registry, env } = await registryWithImage();
  const lines = 50_000;
  // of what is malformed nobody is asked
  const run = await lookup(
    env,
    Array.from({ length: lines }, () => 'r0.test/App'),
    '--json',
  );
  expect(run).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/50000 failed\n$/) as string,
  });
  expect(run.stdout.split('\n')).toHaveLength(lines + 1);
  expect(registry.log).toEqual([]);
});
