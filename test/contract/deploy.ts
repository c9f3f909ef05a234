// What `larder deploy` does, whichever real registry it pushes to: requests in their order, and their number.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import {
  digestOf,
  digestOfManifest,
  indexOf,
  jsonLines,
  manifestOf,
} from '../support/deploy-lines.ts';
import { Gate } from '../support/faults.ts';
import { runLarder } from '../support/larder.ts';
import { startRealRegistry, type RealRegistry } from '../support/real-registry.ts';
import { RecordingProxy } from '../support/recording-proxy.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { atEnd, tempDir } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const short = (digest: string) => digest.slice(0, 'sha256:'.length + 6);

interface Line {
  readonly refs: string[];
  readonly digest: string;
  readonly status: string;
  readonly error?: string;
}

/** `program`: the registry. */
export function deployContract(program: string): void {
  describe('larder deploy', () => {
    let real: RealRegistry;
    let source: Registry;
    let proxy: RecordingProxy;

    beforeAll(async () => {
      real = await startRealRegistry(program, tempDir());
      atEnd(() => real.stop());
      source = await startRegistry();
      proxy = await RecordingProxy.before(real.base);
    });

    /** Runs it on these lines; reg.test is the registry, src.test the mock. */
    async function deploy(
      lines: readonly object[],
      { args = [], kill }: { args?: readonly string[]; kill?: Promise<NodeJS.Signals> } = {},
    ) {
      const file = join(tempDir(), 'lines.jsonl');
      writeFileSync(file, jsonLines(lines));
      const run = await runLarder(['deploy', '--file', file, '--json', ...args], {
        env: { LARDER_OCI_UPSTREAMS: `reg.test=${proxy.url},src.test=${source.url}` },
        ...(kill && { kill }),
      });
      const said = run.stdout.split('\n').filter((line) => line !== '');
      return { ...run, lines: said.map((line) => JSON.parse(line) as Line) };
    }

    /** What a tag is, past the proxy. */
    async function tagOf(repository: string, tag: string): Promise<string | null> {
      const url = `${real.base}/v2/${repository}/manifests/${tag}`;
      const accept =
        'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json';
      const response = await fetch(url, { method: 'HEAD', headers: { accept } });
      return response.headers.get('docker-content-digest');
    }

    /** An index of two manifests with three blobs, which the mock has in `lib/NAME`, and a line for each of the three. */
    function indexed(name: string, size = 100_000) {
      const layer = Body.noise(size, name);
      const configs = ['amd64', 'arm64'].map((architecture) =>
        JSON.stringify({ architecture, os: 'linux', name }),
      );
      for (const blob of configs) source.addBlob(`lib/${name}`, Body.of(blob));
      source.addBlob(`lib/${name}`, layer);
      const [amd64, arm64] = configs.map((config) => manifestOf(config, [layer.bytes()]));
      if (amd64 === undefined || arm64 === undefined) throw new Error('there are two');
      const index = indexOf({ amd64, arm64 });
      const sources = { '': `src.test/lib/${name}` };
      const at = (ref: string, manifest: object) => ({
        refs: [`reg.test/${ref}`],
        manifest,
        sources,
      });
      const lines = [
        at(`${name}@${digestOfManifest(amd64)}`, amd64),
        at(`${name}@${digestOfManifest(arm64)}`, arm64),
        at(`${name}:v1`, index),
      ];
      return { layer, configs, amd64, arm64, index, lines, sources };
    }

    test('an index, two manifests and three blobs that are not there; then one request a reference', async () => {
      const { layer, configs, amd64, arm64, index, lines } = indexed('fresh');
      source.clearLog();
      proxy.taken();
      const cold = await deploy(lines, { args: ['--parallel', '1'] });
      expect(cold).toMatchObject({ code: 0, stderr: '' });
      expect(cold.lines).toEqual(
        [amd64, arm64, index].map((manifest, at) => ({
          refs: lines[at]?.refs,
          digest: digestOfManifest(manifest),
          status: 'pushed',
        })),
      );
      const [one, other] = [amd64, arm64].map((manifest) => short(digestOfManifest(manifest)));
      const uploads = (count: number) => [
        ...Array.from({ length: count }, () => 'POST blobs/uploads/ 202'),
        ...Array.from({ length: count }, () => 'PUT blobs/uploads/… 201'),
      ];
      const asked = proxy.taken();
      const lacking = asked[1]?.slice(-3) ?? '';
      expect(['400', '404']).toContain(lacking);
      expect([...asked.slice(0, 2), ...asked.slice(2, 6).sort(), ...asked.slice(6)]).toEqual([
        `HEAD manifests/${one ?? ''} 404`,
        `PUT manifests/${one ?? ''} ${lacking}`,
        ...uploads(2),
        `PUT manifests/${one ?? ''} 201`,
        `HEAD manifests/${other ?? ''} 404`,
        `PUT manifests/${other ?? ''} ${lacking}`,
        // the layer is there by now
        ...uploads(1),
        `PUT manifests/${other ?? ''} 201`,
        'HEAD manifests/v1 404',
        'PUT manifests/v1 201',
      ]);
      const blobs = [...configs.map((config) => digestOf(config)), `sha256:${layer.sha256}`];
      expect(source.log.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
        blobs.map((digest) => `GET /v2/lib/fresh/blobs/${digest}`).sort(),
      );
      expect(await tagOf('fresh', 'v1')).toBe(digestOfManifest(index));

      source.clearLog();
      const again = await deploy(lines);
      expect(again).toMatchObject({ code: 0, stderr: '' });
      expect(again.lines.map(({ status }) => status)).toEqual(['present', 'present', 'present']);
      expect(proxy.taken().sort()).toEqual(
        [
          `HEAD manifests/${one ?? ''} 200`,
          `HEAD manifests/${other ?? ''} 200`,
          'HEAD manifests/v1 200',
        ].sort(),
      );
      expect(source.log).toEqual([]);
    });

    test('an index alone brings its children, out of its source', async () => {
      const { amd64, arm64, index, sources } = indexed('alone');
      for (const manifest of [amd64, arm64])
        source.addManifest('lib/alone', undefined, JSON.stringify(manifest), manifest.mediaType);
      proxy.taken();
      const run = await deploy([{ refs: ['reg.test/alone:v1'], manifest: index, sources }]);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      const asked = proxy.taken();
      expect(asked[0]).toBe('HEAD manifests/v1 404');
      expect(asked[1]).toMatch(/^PUT manifests\/v1 40[04]$/);
      expect(asked.at(-1)).toBe('PUT manifests/v1 201');
      const count = (pattern: RegExp) => asked.filter((line) => pattern.test(line)).length;
      // each manifest twice, each blob once, though two name the layer
      expect([
        count(/^HEAD/),
        count(/^PUT manifests/),
        count(/^POST/),
        count(/^PUT blobs/),
      ]).toEqual([1, 6, 3, 3]);
      expect(await tagOf('alone', 'v1')).toBe(digestOfManifest(index));
    });

    test('blobs are mounted within the registry, and what cannot be mounted is copied', async () => {
      const { lines, index, amd64, arm64 } = indexed('mounted');
      expect(await deploy(lines)).toMatchObject({ code: 0 });
      const aside = 'only in the source';
      source.addBlob('lib/mounted', Body.of(aside));
      const more = manifestOf(aside, [aside]);
      proxy.taken();
      source.clearLog();
      const run = await deploy([
        {
          refs: ['reg.test/mounted/other:v1'],
          manifest: index,
          sources: { '': 'reg.test/mounted' },
        },
        {
          refs: ['reg.test/mounted/more:v1'],
          manifest: more,
          sources: { [digestOf(aside)]: `src.test/lib/mounted@${digestOf(aside)}` },
        },
      ]);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      const asked = proxy.taken();
      expect(asked.filter((line) => line === 'POST blobs/uploads/ mount 201')).toHaveLength(3);
      expect(asked.filter((line) => line.startsWith('PUT blobs'))).toEqual([
        'PUT blobs/uploads/… 201',
      ]);
      // the manifests come from where the blobs are
      for (const manifest of [amd64, arm64])
        expect(asked).toContain(`GET manifests/${short(digestOfManifest(manifest))} 200`);
      expect(source.log.map(({ path }) => path)).toEqual([
        `/v2/lib/mounted/blobs/${digestOf(aside)}`,
      ]);
    });

    test('a mount that the registry does not do becomes a copy in the same upload', async () => {
      const { lines, configs } = indexed('unmounted', 1000);
      expect(await deploy(lines)).toMatchObject({ code: 0 });
      // a registry without that takes it for the beginning of an upload
      const [config = ''] = configs;
      proxy.intercept = (request) => {
        if (request.method === 'POST') request.url = request.url.replace(/\?.*/, '');
        return undefined;
      };
      atEnd(() => {
        proxy.intercept = () => undefined;
      });
      proxy.taken();
      const manifest = manifestOf(config, []);
      const run = await deploy([
        { refs: ['reg.test/unmounted/other:v1'], manifest, sources: { '': 'reg.test/unmounted' } },
      ]);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      expect(proxy.taken().slice(2)).toEqual([
        'POST blobs/uploads/ 202',
        `GET blobs/${short(digestOf(config))} 200`,
        'PUT blobs/uploads/… 201',
        'PUT manifests/v1 201',
      ]);
    });

    test('blobs of lines, and a manifest that needs them', async () => {
      const layer = Buffer.from('a layer of a line');
      const image = manifestOf('{"of":"lines"}', [layer]);
      const blobs = ['{"of":"lines"}', layer].map((blob) => ({
        refs: [`reg.test/lines@${digestOf(blob)}`],
        blob: Buffer.from(blob).toString('base64'),
      }));
      // elsewhere too, where no line brings them
      const manifest = { refs: ['reg.test/lines:v1', 'reg.test/lines/else:v1'], manifest: image };
      proxy.taken();
      const run = await deploy([...blobs, manifest]);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      expect(run.lines.map(({ status }) => status)).toEqual(['pushed', 'pushed', 'pushed']);
      expect(await tagOf('lines/else', 'v1')).toBe(digestOfManifest(image));
      proxy.taken();
      expect((await deploy([...blobs, manifest])).lines.map(({ status }) => status)).toEqual([
        'present',
        'present',
        'present',
      ]);
      expect(proxy.taken()).toHaveLength(4);
    });

    test('a tag moves to what is there already', async () => {
      const { lines, amd64, index } = indexed('moved');
      expect(await deploy(lines)).toMatchObject({ code: 0 });
      proxy.taken();
      const run = await deploy([{ refs: ['reg.test/moved:v1'], manifest: amd64 }]);
      expect(run.lines).toMatchObject([{ status: 'pushed' }]);
      expect(proxy.taken()).toEqual(['HEAD manifests/v1 200', 'PUT manifests/v1 201']);
      expect(await tagOf('moved', 'v1')).toBe(digestOfManifest(amd64));
      // the later of two lines for one tag counts
      const both = [amd64, index, amd64].map((manifest) => ({
        refs: ['reg.test/moved:v1'],
        manifest,
      }));
      expect(await deploy(both)).toMatchObject({ code: 0 });
      expect(await tagOf('moved', 'v1')).toBe(digestOfManifest(amd64));
    });

    test('--dry-run looks, and writes nothing', async () => {
      const { lines } = indexed('dry');
      proxy.taken();
      const run = await deploy(lines, { args: ['--dry-run'] });
      expect(run).toMatchObject({ code: 0 });
      expect(run.lines.map(({ status }) => status)).toEqual([
        'would-push',
        'would-push',
        'would-push',
      ]);
      expect(proxy.taken().map((line) => line.split(' ')[0])).toEqual(['HEAD', 'HEAD', 'HEAD']);
    });

    test('one that fails stops no other', async () => {
      const { lines } = indexed('some');
      const orphan = manifestOf('nowhere', []);
      const run = await deploy([
        { refs: ['reg.test/some:orphan'], manifest: orphan },
        { refs: ['reg.test/some:gone'], manifest: orphan, sources: { '': 'src.test/lib/some' } },
        ...lines,
      ]);
      expect(run.code).toBe(1);
      expect(run.lines.map(({ error }) => error)).toEqual([
        expect.stringContaining('sources does not say where it is'),
        expect.stringContaining('is not in its source'),
        undefined,
        undefined,
        undefined,
      ]);
      expect(run.lines.slice(2).map(({ status }) => status)).toEqual([
        'pushed',
        'pushed',
        'pushed',
      ]);
    });

    test('killed in the middle and run again', async () => {
      const { lines, index } = indexed('killed', 2 * MIB);
      const gate = new Gate();
      // between the blobs and the first manifest that needs them
      const puts: string[] = [];
      proxy.intercept = ({ method, url }) => {
        if (method !== 'PUT' || !url.includes('/manifests/')) return undefined;
        puts.push(url);
        return puts.filter((other) => other === url).length > 1
          ? gate.pass(new AbortController().signal).then(() => undefined)
          : undefined;
      };
      const run = await deploy(lines, { kill: gate.reached.then(() => 'SIGKILL' as const) });
      expect(run).toMatchObject({ signal: 'SIGKILL', stdout: '' });
      gate.open();
      proxy.intercept = () => undefined;
      proxy.taken();
      expect(await tagOf('killed', 'v1')).toBeNull();
      expect(await deploy(lines)).toMatchObject({ code: 0, stderr: '' });
      expect(await tagOf('killed', 'v1')).toBe(digestOfManifest(index));
    });

    test('a source that cuts connections: what broke goes on where it broke', async () => {
      const { layer, lines, index } = indexed('cut', 3 * MIB);
      const path = `/v2/lib/cut/blobs/sha256:${layer.sha256}`;
      source.fault(path, { cutAfter: MIB, times: 2 });
      atEnd(() => {
        source.clearFaults();
      });
      source.clearLog();
      const run = await deploy(lines);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      expect(source.requests(path).map(({ headers }) => headers.range)).toEqual([
        undefined,
        `bytes=${String(MIB)}-`,
        `bytes=${String(2 * MIB)}-`,
      ]);
      expect(await tagOf('cut', 'v1')).toBe(digestOfManifest(index));
    });

    test('a problem in the input: nothing is sent', async () => {
      const { lines } = indexed('wrong');
      proxy.taken();
      const run = await deploy([...lines, { refs: ['elsewhere.test/a:1'], manifest: {} }]);
      expect(run).toMatchObject({ code: 2, stdout: '' });
      expect(run.stderr).toMatch(/^line 4: /m);
      expect(proxy.taken()).toEqual([]);
    });
  });
}
