// The OCI distribution-spec's own conformance suite, reading only, against Larder in front of a real registry.
// Usage: npm run test:conformance PATH   (a clone of opencontainers/distribution-spec, bare or not; it is not changed)
// Needs Go, git, and a registry: the program that LARDER_TEST_REGISTRY names, or else Debian's docker-registry on the PATH.
// That of Debian 12 cuts no list of tags into pages, and fails the test of them by itself.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer, type Server } from '../../bench/support/processes.ts';
import {
  debianRegistry,
  MEDIA_TYPES,
  pushBlob,
  pushManifest,
  startRealRegistry,
  type Descriptor,
} from '../support/real-registry.ts';

const REPOSITORY = 'lib/a';

const [spec] = process.argv.slice(2);
if (spec === undefined) {
  console.error('Give the path of a clone of opencontainers/distribution-spec.');
  process.exit(2);
}
const dir = mkdtempSync(path.join(tmpdir(), 'larder-conformance-'));
const environment = { PATH: process.env['PATH'] ?? '', HOME: dir };
try {
  process.exitCode = (await conform(buildSuite(spec))) ? 0 : 1;
} finally {
  await rm(dir, { recursive: true, force: true });
}

/** Where a run that only reads panics while it writes its results, the copy that is built gets the missing test. */
function buildSuite(clone: string): string {
  const source = path.join(dir, 'suite');
  mkdirSync(source);
  const tar = execFileSync('git', ['-C', clone, 'archive', 'HEAD', 'conformance'], {
    maxBuffer: 2 ** 28,
  });
  execFileSync('tar', ['-x', '--strip-components=1', '-C', source], { input: tar });
  const file = path.join(source, 'run.go');
  const mended = readFileSync(file, 'utf8').replace(
    /^(\s*)(results\.Data\[r\.State\.Data\[k\]\.name\] = v)$/m,
    '$1if r.State.Data[k] != nil {\n$1\t$2\n$1}',
  );
  writeFileSync(file, mended);
  const program = path.join(dir, 'conformance');
  const env = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local' };
  execFileSync('go', ['build', '-o', program, '.'], { cwd: source, env, stdio: 'inherit' });
  return program;
}

async function conform(suite: string): Promise<boolean> {
  const registry = await startRealRegistry(debianRegistry, path.join(dir, 'registry'));
  const content = await push(registry.base);
  const larder = await startLarder(registry.base);
  const { host } = new URL(larder.base);
  const passed = [REPOSITORY, `reg.test/${REPOSITORY}`].map((name) =>
    run(suite, host, name, content),
  );
  await Promise.all([larder.stop(), registry.stop()]);
  return passed.every(Boolean);
}

function run(suite: string, host: string, name: string, content: Content): boolean {
  const off = ['PUSH', 'BLOBS_DELETE', 'MANIFESTS_DELETE', 'TAGS_DELETE'];
  const { stdout, stderr } = spawnSync(suite, {
    cwd: dir,
    encoding: 'utf8',
    env: {
      ...environment,
      OCI_REGISTRY: host,
      OCI_TLS: 'disabled',
      OCI_REPO1: name,
      OCI_VERSION: '1.1',
      ...Object.fromEntries(off.map((api) => [`OCI_API_${api}`, 'false'])),
      OCI_API_REFERRER: 'true',
      OCI_RO_DATA_TAGS: content.tags.join(' '),
      OCI_RO_DATA_MANIFESTS: content.manifests.join(' '),
      OCI_RO_DATA_BLOBS: content.blobs.join(' '),
      OCI_RO_DATA_REFERRERS: content.subject,
      OCI_RESULTS_DIR: path.join(dir, 'results'),
    },
  });
  const count = (word: string) =>
    Number(new RegExp(`^ +${word}\\.+: +(\\d+)$`, 'm').exec(stdout)?.[1]);
  const [passed, failed, errors] = [count('Pass'), count('FAIL'), count('Error')];
  console.log(
    `${name}: ${String(passed)} passed, ${String(failed)} failed, ${String(errors)} errors`,
  );
  const isFine = passed > 0 && failed === 0 && errors === 0;
  if (!isFine) console.log(stdout, stderr);
  return isFine;
}

interface Content {
  readonly tags: readonly string[];
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
  /** A manifest to which another one refers. */
  readonly subject: string;
}

/** Two images, an index of both, and an artifact that refers to the first. */
async function push(registry: string): Promise<Content> {
  const blobs: Descriptor[] = [];
  const blob = async (mediaType: string, bytes: string) => {
    const descriptor = await pushBlob(registry, REPOSITORY, mediaType, bytes);
    blobs.push(descriptor);
    return descriptor;
  };
  const manifest = (tag: string, mediaType: string, fields: object) =>
    pushManifest(registry, REPOSITORY, tag, mediaType, fields);
  const image = async (tag: string) => {
    const config = await blob(MEDIA_TYPES.config, JSON.stringify({ tag, rootfs: {} }));
    const layers = [await blob(MEDIA_TYPES.layer, `layer of ${tag} `.repeat(5000))];
    return manifest(tag, MEDIA_TYPES.manifest, { config, layers });
  };
  const images = [await image('v1'), await image('v2')];
  const index = await manifest('index', MEDIA_TYPES.index, { manifests: images });
  const [subject] = images;
  if (subject === undefined) throw new Error('there is no image');
  const config = await blob('application/vnd.oci.empty.v1+json', '{}');
  const artifactType = 'application/vnd.example.signature';
  const artifact = { config, layers: [config], subject, artifactType };
  const referrer = await manifest('signature', MEDIA_TYPES.manifest, artifact);
  // for registries without the referrers API
  const tag = subject.digest.replace(':', '-');
  const manifests = [{ ...referrer, artifactType }];
  await manifest(tag, MEDIA_TYPES.index, { manifests });
  return {
    tags: ['v1', 'v2', 'index'],
    manifests: [...images, index].map(({ digest }) => digest),
    blobs: blobs.map(({ digest }) => digest),
    subject: subject.digest,
  };
}

function startLarder(registry: string): Promise<Server> {
  return startServer({
    name: 'Larder',
    command: process.execPath,
    args: () => [fileURLToPath(new URL('../../dist/main.js', import.meta.url))],
    env: (port) => ({
      ...environment,
      LARDER_HOST: '127.0.0.1',
      LARDER_PORT: String(port),
      LARDER_STORAGE_DIR: path.join(dir, 'store'),
      LARDER_GO_UPSTREAM: 'off',
      LARDER_OCI_UPSTREAMS: `docker.io=${registry},reg.test=${registry}`,
    }),
    log: path.join(dir, 'larder.log'),
  });
}
