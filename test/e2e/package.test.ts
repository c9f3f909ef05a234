// What `npm pack` makes of what is built: its files, and that it runs with its own dependencies alone.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { freePorts } from '../support/daemon.ts';
import { request } from '../support/http.ts';
import { atEnd, eventually, filesBelow, tempDir } from '../support/tmp.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sources = filesBelow(join(root, 'src')).map((file) => file.slice(root.length));

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

/** Packs into a folder, without the build that `npm pack` begins with: other tests run what is built. */
function pack(folder: string): Packed {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const json = execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  const [packed] = JSON.parse(json) as Packed[];
  if (packed === undefined) throw new Error(`npm pack says nothing of what it packed: ${json}`);
  return packed;
}

/** Unpacks it as npm would install it, beside links to what it depends on. Path of its folder. */
function install(folder: string, { filename }: Packed): string {
  const modules = join(folder, 'node_modules');
  const place = join(modules, 'larder');
  mkdirSync(place, { recursive: true });
  execFileSync('tar', ['-xzf', join(folder, filename), '-C', place, '--strip-components=1']);
  const { dependencies } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  return place;
}

test('the package has what is built, and neither sources nor tests', () => {
  const { files } = pack(tempDir());
  const paths = files.map(({ path }) => path);
  const built = sources.map((path) => path.replace(/^src/, 'dist').replace(/\.ts$/, '.js'));
  expect(paths.filter((path) => path.startsWith('dist/')).sort()).toEqual(built.sort());
  expect(paths.filter((path) => !path.startsWith('dist/')).sort()).toEqual([
    '.env.example',
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'package.json',
  ]);
  // as npm links it into the PATH
  expect(files.find(({ path }) => path === 'dist/main.js')?.mode).toBe(0o755);
});

test('it runs with nothing but its own dependencies, and serves', async () => {
  const folder = tempDir();
  const main = join(install(folder, pack(folder)), 'dist/main.js');
  const [port = 0] = await freePorts(1);
  const base = `http://127.0.0.1:${String(port)}`;
  const child = spawn(process.execPath, [main], {
    cwd: folder,
    env: { LARDER_HOST: '127.0.0.1', LARDER_PORT: String(port), LARDER_GO_UPSTREAM: 'off' },
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  atEnd(() => child.kill('SIGKILL'));
  await eventually('it answers', async () => (await request(base, '/readyz')).status === 200);
  expect((await request(base, '/')).text).toContain(`GOPROXY=${base}`);
  expect(filesBelow(join(folder, 'data')).length).toBeGreaterThan(0);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});
