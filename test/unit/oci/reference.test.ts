import { describe, expect, test } from 'vitest';
import { parseImageName, parseNameForServer } from '../../../src/oci/reference.ts';
import { OciUpstreams, parseOciUpstreams } from '../../../src/oci/upstreams.ts';

const upstreams = new OciUpstreams(
  parseOciUpstreams(
    'docker.io=https://hub.test ghcr.io=https://ghcr.test localhost:5000=http://localhost:5000 plain=http://plain.test',
  ),
);
const parse = (text: string) => parseImageName(text, upstreams);
const sha256 = `sha256:${'a'.repeat(64)}`;
const sha512 = `sha512:${'b'.repeat(128)}`;

test.for([
  ['nginx', 'docker.io/library/nginx:latest'],
  ['nginx:1.27', 'docker.io/library/nginx:1.27'],
  ['library/nginx', 'docker.io/library/nginx:latest'],
  ['docker.io/nginx', 'docker.io/library/nginx:latest'],
  ['INDEX.docker.io/library/nginx:1', 'docker.io/library/nginx:1'],
  ['registry-1.docker.io/owner/image', 'docker.io/owner/image:latest'],
  ['owner/image:T_1.x-y', 'docker.io/owner/image:T_1.x-y'],
  ['GHCR.io/owner/image', 'ghcr.io/owner/image:latest'],
  [`ghcr.io/owner/image@${sha256}`, `ghcr.io/owner/image@${sha256}`],
  [`ghcr.io/owner/image:1.2@${sha512}`, `ghcr.io/owner/image@${sha512}`],
  ['localhost:5000/app:2', 'localhost:5000/app:2'],
  ['plain/app', 'plain/app:latest'],
] as const)('%s is %s', ([text, name]) => {
  expect(parse(text).name).toBe(name);
});

test('a name of one element on Docker Hub may be meant as it stands, too', () => {
  expect(parse('nginx').repositories.map(({ path }) => path)).toEqual(['library/nginx', 'nginx']);
  expect(parse('ghcr.io/nginx').repositories.map(({ path }) => path)).toEqual(['nginx']);
});

test('a digest decides alone', () => {
  expect(parse(`nginx:1@${sha256}`)).toMatchObject({ tag: undefined, reference: sha256 });
  expect(parse('nginx:1')).toMatchObject({ tag: '1', reference: '1' });
});

const malformed = [
  '',
  '/',
  'Nginx',
  'nginx:',
  'nginx@',
  'nginx:a:b',
  'nginx:-a',
  'nginx@sha256:abc',
  `nginx@${sha256}@${sha256}`,
  ' nginx',
  'ghcr.io/',
  'ghcr.io/Owner/image',
  'ghcr.io//image',
  'docker://nginx',
  `ghcr.io/${'a'.repeat(256)}`,
];

describe('malformed', () => {
  test.for(malformed)('%j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'invalid' }) as Error);
    const server = { name: 'larder:3000', url: new URL('http://larder:3000') };
    expect(() => parseNameForServer(text, server)).toThrow(
      expect.objectContaining({ code: 'invalid' }) as Error,
    );
  });
});

test.for(['quay.io/owner/image', 'localhost/image', 'example.com:8080/x', '127.0.0.1:5000/x:1'])(
  '%s is of a registry that is not listed',
  (text) => {
    expect(() => parse(text)).toThrow(/is no registry that is asked: LARDER_OCI_UPSTREAMS/);
  },
);

test('for a server, which knows registries of its own', () => {
  const server = { name: 'larder:3000', url: new URL('http://larder:3000') };
  const named = (text: string) => parseNameForServer(text, server).name;
  expect(named('nginx')).toBe('larder:3000/nginx:latest');
  expect(named('Quay.io/owner/image:1')).toBe('larder:3000/quay.io/owner/image:1');
  expect(named('index.docker.io/library/nginx')).toBe('larder:3000/docker.io/library/nginx:latest');
  expect(() => named('bad_host.:5000/x')).toThrow('this is no host');
});
