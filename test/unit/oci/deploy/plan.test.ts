import { describe, expect, test } from 'vitest';
import { planDeploy } from '../../../../src/oci/deploy/plan.ts';
import { OciUpstreams, parseOciUpstreams } from '../../../../src/oci/upstreams.ts';
import { digestOf, digestOfManifest, indexOf, manifestOf } from '../../../support/deploy-lines.ts';

const upstreams = new OciUpstreams(
  parseOciUpstreams('docker.io=http://127.0.0.1:1,reg.test:5000=http://127.0.0.1:1'),
);
const plan = (lines: readonly (object | string)[]) =>
  planDeploy(
    (async function* () {
      for (const line of lines) yield typeof line === 'string' ? line : JSON.stringify(line);
      await Promise.resolve();
    })(),
    upstreams,
  );
const problemsOf = async (...lines: readonly (object | string)[]) => (await plan(lines)).problems;

const layer = Buffer.from('a layer');
const image = manifestOf('{}', [layer]);
const digest = digestOfManifest(image);
const refs = ['reg.test:5000/a/b:1'];
const withLayer = (changes: object) => ({
  refs,
  manifest: { ...image, layers: [{ ...image.layers[0], ...changes }] },
});
const index = indexOf({ amd64: image });
const withEntry = (changes: object) => ({
  refs,
  manifest: { ...index, manifests: [{ ...index.manifests[0], ...changes }] },
});

describe('a line', () => {
  test('of a manifest: names in full, its children, its sources', async () => {
    const { steps, problems } = await plan([
      {
        refs: ['docker.io/nginx:1', 'reg.test:5000/a/b', `reg.test:5000/c:x@${digest}`],
        manifest: image,
        sources: { '': 'docker.io/nginx', [digestOf(layer)]: `reg.test:5000/l@${digestOf(layer)}` },
      },
    ]);
    expect(problems).toEqual([]);
    const input = steps[0]?.input;
    expect(input?.bytes.toString()).toBe(JSON.stringify(image));
    expect(input?.digest).toBe(digest);
    expect(
      input?.refs.map(({ repository, reference }) => [
        repository.upstream.name,
        repository.path,
        reference,
      ]),
    ).toEqual([
      ['docker.io', 'library/nginx', '1'],
      ['reg.test:5000', 'a/b', digest],
      ['reg.test:5000', 'c', 'x'],
    ]);
    expect(input?.children.map(({ kind, digest: child }) => [kind, child])).toEqual([
      ['blob', digestOf('{}')],
      ['blob', digestOf(layer)],
    ]);
    expect(input?.sources.get('')?.path).toBe('library/nginx');
  });

  test('of exact bytes, and of a blob', async () => {
    const bytes = Buffer.from(JSON.stringify(image, null, 3));
    const { steps, problems } = await plan([
      { refs: [`reg.test:5000/a/b@${digestOf(layer)}`], blob: layer.toString('base64') },
      { refs, manifest: bytes.toString('base64') },
    ]);
    expect(problems).toEqual([]);
    expect(steps.map(({ input }) => input.digest)).toEqual([digestOf(layer), digestOf(bytes)]);
  });

  test('by a digest of another algorithm', async () => {
    const text = JSON.stringify(image);
    const { createHash } = await import('node:crypto');
    const sha512 = `sha512:${createHash('sha512').update(text).digest('hex')}`;
    const { steps } = await plan([{ refs: [`reg.test:5000/a@${sha512}`], manifest: image }]);
    expect(steps[0]?.input.digest).toBe(sha512);
  });

  test.each<[string, object | string, string | RegExp]>([
    ['no JSON', '{"refs"', /^line 1: it is no JSON: /],
    ['no object', '[]', 'line 1: it is no JSON object'],
    ['a field that is none', { refs, manifest: image, source: {} }, /no field "source"/],
    ['neither', { refs }, /either a manifest or a blob/],
    ['both', { refs, manifest: image, blob: '' }, /either a manifest or a blob/],
    ['no refs', { manifest: image }, /refs is no list/],
    ['empty refs', { refs: [], manifest: image }, /refs is no list/],
    ['an unlisted host', { refs: ['ghcr.io/a:1'], manifest: image }, /does not list ghcr.io/],
    ['no host', { refs: ['a/b:1'], manifest: image }, /begins with its registry's host/],
    ['a bad name', { refs: ['reg.test:5000/A:1'], manifest: image }, /lower-case/],
    ['a bad tag', { refs: ['reg.test:5000/a:.x'], manifest: image }, /a tag has/],
    [
      'another digest',
      { refs: [`reg.test:5000/a@${digestOf('x')}`], manifest: image },
      /are sha256:/,
    ],
    ['a blob with a tag', { refs, blob: '' }, /a blob has no tag/],
    ['base64', { refs: ['reg.test:5000/a'], blob: 'a' }, /blob is no base64/],
    ['base64 of a manifest', { refs, manifest: '***' }, /manifest is no base64/],
    ['a manifest that is none', { refs, manifest: 7 }, /neither an object nor base64/],
    ['bytes that are none', { refs, manifest: 'YQ==' }, /the manifest is no JSON object/],
    ['a key twice', '{"refs":["reg.test:5000/a:1"],"manifest":{"a":1,"a":2}}', /"a" comes twice/],
    ['schema 1', { refs, manifest: { ...image, schemaVersion: 1 } }, /schemaVersion is not 2/],
    ['no kind', { refs, manifest: { schemaVersion: 2 } }, /neither a mediaType/],
    [
      'another kind',
      { refs, manifest: { ...image, mediaType: 'text/plain' } },
      /not that of a manifest/,
    ],
    ['no config', { refs, manifest: { ...image, config: undefined } }, /config: it is no object/],
    ['no layers', { refs, manifest: { ...image, layers: undefined } }, /layers is no list/],
    ['digest', withLayer({ digest: 'sha256:abc' }), /layers\[0\]: digest "sha256:abc"/],
    ['an unknown algorithm', withLayer({ digest: `md5:${'0'.repeat(32)}` }), /digest "md5:/],
    ['size', withLayer({ size: 1.5 }), /size 1.5 is no number/],
    ['negative size', withLayer({ size: -1 }), /size -1/],
    ['media type', withLayer({ mediaType: 'layer' }), /mediaType "layer" is no media type/],
    ['no media type', withLayer({ mediaType: undefined }), /mediaType \(missing\)/],
    ['urls', withLayer({ urls: ['https://example.com'] }), /urls must be empty/],
    ['length of data', withLayer({ data: 'YQ==' }), /data has 1 bytes, and size is 7/],
    ['other data', withLayer({ data: Buffer.from('x layer').toString('base64') }), /data is not/],
    ['platform', withEntry({ platform: undefined }), /manifests\[0\]: platform is missing/],
    ['half a platform', withEntry({ platform: { os: 'linux' } }), /lacks os or architecture/],
    ['a child of no kind', withEntry({ mediaType: 'text/plain' }), /not that of a manifest/],
    ['sources', { refs, manifest: image, sources: { x: 'reg.test:5000/a' } }, /"x" is no digest/],
    ['a source', { refs, manifest: image, sources: { '': 'quay.io/a' } }, /does not list quay.io/],
    ['no UTF-8', '{"refs":["reg.test:5000/a:\uFFFD"]}', /not UTF-8/],
  ])('%s', async (_what, line, problem) => {
    const problems = await problemsOf(line);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
    expect(problems[0]).toMatch(/^line 1: /);
  });

  test('data and urls as they should be', async () => {
    const good = { data: layer.toString('base64'), urls: [] };
    expect(await problemsOf(withLayer(good))).toEqual([]);
  });

  test('every problem of every line, by its number', async () => {
    const problems = await problemsOf(
      { refs, manifest: image },
      '',
      withLayer({ size: '7', urls: [1] }),
      'x',
    );
    expect(problems.map((problem) => problem.slice(0, 'line 3: layers[0]: size'.length))).toEqual([
      'line 3: layers[0]: size',
      'line 3: layers[0]: urls',
      'line 4: it is no JSON: ',
    ]);
  });
});

describe('what comes before what', () => {
  const child = { refs: [`reg.test:5000/a/b@${digest}`], manifest: image };
  const parent = { refs, manifest: index };

  test('children before their parents, lines of one tag one after another', async () => {
    const { steps, problems } = await plan([child, parent, { refs, manifest: image }, child]);
    expect(problems).toEqual([]);
    expect(steps.map(({ after }) => after)).toEqual([[], [0], [1], [0]]);
  });

  test('a child that comes later is a problem', async () => {
    expect(await problemsOf(parent, child)).toEqual([
      `line 1: its child ${digest}, line 2, comes later: children come first`,
    ]);
    expect(await problemsOf(child, parent, child)).toEqual([]);
  });

  test('a child is what its parent says', async () => {
    expect(await problemsOf(child, withEntry({ size: 3 }))).toEqual([
      expect.stringMatching(/^line 2: its child sha256:.* and size is 3$/),
    ]);
    const blob = Buffer.from(JSON.stringify(image)).toString('base64');
    expect(await problemsOf({ refs: ['reg.test:5000/a/b'], blob }, parent)).toEqual([
      expect.stringMatching(/^line 2: its child sha256:.*, line 1, is a blob$/),
    ]);
  });

  test('five thousand in a chain, each after the one before', async () => {
    let manifest: object = image;
    const lines: object[] = [child];
    for (let depth = 1; depth < 5000; depth++) {
      const mediaType = depth === 1 ? image.mediaType : index.mediaType;
      const text = JSON.stringify(manifest);
      const entry = {
        mediaType,
        digest: digestOf(text),
        size: text.length,
        platform: { os: 'linux', architecture: 'a' },
      };
      manifest = { ...index, manifests: [entry] };
      lines.push({ refs: ['reg.test:5000/a/b'], manifest });
    }
    const { steps, problems } = await plan(lines);
    expect(problems).toEqual([]);
    expect(steps.every(({ after }, at) => after.every((earlier) => earlier < at))).toBe(true);
    expect(steps.at(-1)?.after).toEqual([4998]);
  });
});
