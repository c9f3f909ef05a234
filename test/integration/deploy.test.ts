import { beforeEach, describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { deployAll, Sink } from '../support/deploying.ts';
import { digestOf, manifestOf } from '../support/deploy-lines.ts';
import { json } from '../support/fault-server.ts';
import { startRegistry, type Registry } from '../support/registry.ts';
import { startTokenService } from '../support/token-service.ts';

const KIB = 1024;
const config = '{"os":"linux"}';

let sink: Sink;
let source: Registry;

beforeEach(async () => {
  sink = await new Sink().up();
  source = await startRegistry();
});

const registries = () => ({ 'reg.test': sink.url, 'src.test': source.url });
const asked = () => sink.log.map(({ method, path }) => `${method} ${path.replace(/\d+$/, 'N')}`);
const refusal = (status: number, code: string, detail?: string) =>
  json(status, { errors: [{ code, message: 'no', detail }] });

/** A line for an image whose one layer the source has. */
function image(size: number) {
  const layer = Body.noise(size, String(size));
  source.addBlob('lib/a', layer);
  source.addBlob('lib/a', config);
  const manifest = manifestOf(config, [layer.bytes()]);
  return {
    layer,
    manifest,
    line: { refs: ['reg.test/a:v1'], manifest, sources: { '': 'src.test/lib/a' } },
  };
}

describe('a manifest that is not taken', () => {
  test.each([401, 403, 413, 429])('%i: it is no lack of children', async (status) => {
    const { line } = image(10);
    const answer = refusal(status, 'MANIFEST_BLOB_UNKNOWN');
    const later = { ...answer, headers: { ...answer.headers, 'retry-after': '3600' } };
    sink.scripted.push({ match: /^PUT .*manifests/, answers: [later] });
    const [result] = await deployAll(registries(), [line]);
    expect(result?.error).toMatch(
      new RegExp(`^reg.test/a:v1: .*\\(${String(status)}\\)|${String(status)}`),
    );
    expect(asked()).toEqual(['HEAD /v2/a/manifests/vN', 'PUT /v2/a/manifests/vN']);
    expect(source.log).toEqual([]);
  });

  test.each([
    [404, 'NAME_INVALID'],
    [400, 'MANIFEST_INVALID'],
    [422, 'MANIFEST_BLOB_UNKNOWN'],
    [409, 'BLOB_UNKNOWN'],
  ])('%i %s: its children are brought, those that are not there', async (status, code) => {
    const { line, manifest } = image(10);
    sink.scripted.push(
      { match: /^PUT .*manifests/, answers: [refusal(status, code)] },
      { match: /^HEAD .*blobs/, answers: [json(200, {})] },
    );
    expect(await deployAll(registries(), [line])).toEqual([{ status: 'pushed' }]);
    expect(asked().sort()).toEqual(
      [
        'HEAD /v2/a/manifests/vN',
        'PUT /v2/a/manifests/vN',
        // nothing said which are missing
        ...[manifest.config, ...manifest.layers].map(
          ({ digest }) => `HEAD /v2/a/blobs/${digest.replace(/\d+$/, 'N')}`,
        ),
        'POST /v2/a/blobs/uploads/',
        'PUT /v2/upload/N',
        'PUT /v2/a/manifests/vN',
      ].sort(),
    );
  });

  test('a registry that names one at a time is asked for all the rest at once', async () => {
    const { line, manifest, layer } = image(10);
    const answers = [manifest.config.digest, `sha256:${layer.sha256}`].map((digest) =>
      refusal(400, 'MANIFEST_BLOB_UNKNOWN', digest),
    );
    sink.scripted.push({ match: /^PUT .*manifests/, answers });
    expect(await deployAll(registries(), [line])).toEqual([{ status: 'pushed' }]);
    expect(asked().filter((one) => one.includes('PUT /v2/a/manifests'))).toHaveLength(3);
  });

  test('when all is brought, its refusal is the answer', async () => {
    const { line } = image(10);
    const answers = Array.from({ length: 5 }, () => refusal(400, 'MANIFEST_INVALID'));
    sink.scripted.push({ match: /^PUT .*manifests/, answers });
    const [result] = await deployAll(registries(), [line]);
    expect(result?.error).toMatch(
      /^reg\.test\/a:v1: 127\.0\.0\.1:\d+ answers 400: MANIFEST_INVALID$/,
    );
    expect(answers).toHaveLength(3);
  });

  test('503 twice: the same bytes are sent again', async () => {
    const { line } = image(10);
    sink.scripted.push({ match: /^PUT .*manifests/, answers: [json(503, {}), json(503, {})] });
    expect(await deployAll(registries(), [line])).toEqual([{ status: 'pushed' }]);
    const puts = sink.log.filter(({ method }) => method === 'PUT');
    expect(puts.map(({ body }) => body)).toEqual(puts.map(() => JSON.stringify(line.manifest)));
    expect(puts).toHaveLength(3);
  });
});

describe('a blob', () => {
  test.each([
    [1000, 3, undefined],
    [300 * KIB, 1, /answers 503/],
  ])('of %i bytes that is answered by 503 is sent %i times', async (size, times, error) => {
    const { line, layer } = image(size);
    const upload = { match: /^PUT .*upload/, answers: [json(503, {}), json(503, {})] };
    sink.scripted.push(
      {
        match: /^PUT .*manifests/,
        answers: [refusal(404, 'BLOB_UNKNOWN', `sha256:${layer.sha256}`)],
      },
      upload,
    );
    const [result] = await deployAll(registries(), [line]);
    if (error) expect(result?.error).toMatch(error);
    else expect(result).toEqual({ status: 'pushed' });
    const sent = sink.log.filter(({ method, path }) => method === 'PUT' && path.includes('upload'));
    expect(sent.map(({ headers }) => headers['content-length'])).toEqual(
      Array.from({ length: times }, () => String(size)),
    );
  });

  test('of which the source sends other bytes never arrives whole', async () => {
    const { line, layer } = image(300 * KIB);
    const digest = `sha256:${layer.sha256}`;
    source.fault(`/v2/lib/a/blobs/${digest}`, { body: Body.noise(300 * KIB, 'other') });
    sink.scripted.push({
      match: /^PUT .*manifests/,
      answers: [refusal(404, 'BLOB_UNKNOWN', digest)],
    });
    const [result] = await deployAll(registries(), [line]);
    expect(result?.error).toMatch(/other bytes/);
    expect(
      sink.log.filter(({ path, state }) => path.includes('upload/') && state === 'done'),
    ).toEqual([]);
  });

  test('a hundred at once', async () => {
    const layers = Array.from({ length: 100 }, (_, at) => `layer ${String(at)}`);
    for (const layer of layers) source.addBlob('lib/a', layer);
    const lines = layers.map((layer) => ({
      refs: [`reg.test/${digestOf(layer).slice(-20)}:v1`],
      manifest: manifestOf(config, [layer]),
      sources: { '': 'src.test/lib/a' },
    }));
    source.addBlob('lib/a', config);
    // the first of each
    for (const layer of layers)
      sink.scripted.push({
        match: new RegExp(`^PUT .*${digestOf(layer).slice(-20)}/manifests`),
        answers: [refusal(404, 'BLOB_UNKNOWN')],
      });
    const results = await deployAll(registries(), lines);
    expect(results.filter(({ status }) => status !== 'pushed')).toEqual([]);
  });
});

test('a token may push, and read there where it mounts from', async () => {
  const tokens = await startTokenService({ user: 'us:pw' });
  const challenge = (scope: string) => ({
    ...json(401, {}),
    headers: {
      'www-authenticate': `Bearer realm="${tokens.realm}",service="mock",scope="${scope}"`,
    },
  });
  sink.scripted.push(
    { match: /^HEAD .*manifests/, answers: [challenge('repository:a:pull')] },
    { match: /^PUT .*manifests/, answers: [refusal(404, 'BLOB_UNKNOWN', digestOf(config))] },
    { match: /^POST /, answers: [json(201, {})] },
  );
  const line = {
    refs: ['reg.test/a:v1'],
    manifest: manifestOf(config, []),
    sources: { '': 'reg.test/b' },
  };
  const credential = { kind: 'password', user: 'us', password: 'pw' } as const;
  expect(await deployAll(registries(), [line], { credential })).toEqual([{ status: 'pushed' }]);
  expect(tokens.log.map(({ query }) => query.getAll('scope'))).toEqual([
    ['repository:a:pull,push'],
    ['repository:a:pull,push', 'repository:b:pull'],
  ]);
  expect(asked()).toEqual([
    'HEAD /v2/a/manifests/vN',
    'HEAD /v2/a/manifests/vN',
    'PUT /v2/a/manifests/vN',
    'POST /v2/a/blobs/uploads/',
    'PUT /v2/a/manifests/vN',
  ]);
});

test('one that hangs ends when its time is over', async () => {
  const { line } = image(10);
  sink.fault(/manifests/, { hang: true });
  const [result] = await deployAll(registries(), [line], { timeoutMs: 50 });
  expect(result?.error).toMatch(/not done in 50ms|fetch timed out/);
});
