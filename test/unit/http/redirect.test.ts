import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { nextHop } from '../../../src/http/redirect.ts';

const from = (url: string) => new URL(url);
const headers = { Authorization: 'Basic x', accept: 'a/b', range: 'bytes=0-' };
const hop = (start: string, location: string) => nextHop(from(start), location, headers);
const refusal = { code: 'upstream_failed' };

const names = vi.hoisted(() => new Map<string, readonly string[]>());
vi.mock(import('node:dns/promises'), async (original) => ({
  ...(await original()),
  lookup: ((name: string) => {
    const found = names.get(name);
    if (found === undefined) return Promise.reject(new Error(`no ${name}`));
    return Promise.resolve(found.map((address) => ({ address, family: 0 })));
  }) as never,
}));

/** Lets names resolve to these addresses, and to nothing else. */
function resolving(known: Record<string, readonly string[]>): void {
  names.clear();
  for (const [name, addresses] of Object.entries(known)) names.set(name, addresses);
}

describe('where it leads', () => {
  test.each([
    ['/other?x=1', 'http://127.0.0.1:81/other?x=1'],
    ['other', 'http://127.0.0.1:81/a/other'],
    ['//127.0.0.2/x', 'http://127.0.0.2/x'],
    ['http://[::1]:82/x', 'http://[::1]:82/x'],
    ['https://127.0.0.1/x', 'https://127.0.0.1/x'],
  ])('%s', async (location, url) => {
    expect((await hop('http://127.0.0.1:81/a/b', location)).url.href).toBe(url);
  });

  test.each(['ftp://127.0.0.1/', 'file:///etc/passwd', 'http://', 'http://[::1', 'data:,x'])(
    'never to %s',
    async (location) => {
      await expect(hop('http://127.0.0.1:81/', location)).rejects.toMatchObject(refusal);
    },
  );

  test('from https to http never, to https again it may', async () => {
    await expect(hop('https://127.0.0.1/', 'http://127.0.0.1/')).rejects.toThrow(/https to http/);
    await expect(hop('https://127.0.0.1/', 'https://127.0.0.2/')).resolves.toBeDefined();
    await expect(hop('http://127.0.0.1/', 'https://127.0.0.1/')).resolves.toBeDefined();
  });
});

describe('credentials', () => {
  test('stay with their origin', async () => {
    const same = await hop('http://u:p@127.0.0.1:81/a', '/b');
    expect(same.url).toMatchObject({ username: 'u', password: 'p' });
    expect(same.headers).toEqual(headers);
  });

  test.each(['http://127.0.0.1:82/', 'http://127.0.0.2:81/', 'https://127.0.0.1:81/'])(
    'do not go to %s',
    async (location) => {
      const other = await hop('http://u:p@127.0.0.1:81/a', location);
      expect(other.url).toMatchObject({ username: '', password: '' });
      expect(other.headers).toEqual({ accept: 'a/b', range: 'bytes=0-' });
    },
  );

  test('of the location itself are for where it leads', async () => {
    const other = await hop('http://u:p@127.0.0.1:81/a', 'http://v:q@127.0.0.2/');
    expect(other.url).toMatchObject({ username: 'v', password: 'q' });
  });
});

describe('addresses', () => {
  const linkLocal = [
    '169.254.169.254',
    '[fe80::1]',
    '[::ffff:169.254.169.254]',
    '2852039166', // 169.254.169.254 as one number
    '0xa9.0xfe.0xa9.0xfe',
    '0251.0376.0251.0376',
  ];
  test.each(linkLocal)('link-local %s is refused, whoever sends there', async (host) => {
    resolving({ 'public.test': ['192.0.2.1'] });
    for (const start of ['http://127.0.0.1/', 'http://public.test/', 'http://192.0.2.1/']) {
      await expect(hop(start, `http://${host}/`)).rejects.toThrow(/link-local/);
    }
  });

  const inner = [
    '127.0.0.1',
    '127.1',
    '10.1.2.3',
    '100.64.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[fd00::1]',
    '[::ffff:10.0.0.1]',
  ];
  test.each(inner)('%s is for who is on such an address itself', async (host) => {
    resolving({ 'public.test': ['192.0.2.1'], 'private.test': ['10.9.9.9'] });
    for (const start of ['http://192.0.2.1/', 'http://public.test/', 'http://[2001:db8::1]/']) {
      await expect(hop(start, `http://${host}/`)).rejects.toThrow(/private/);
    }
    for (const start of ['http://127.0.0.9/', 'http://private.test/', 'http://[fd00::2]/']) {
      await expect(hop(start, `http://${host}/`)).resolves.toBeDefined();
    }
  });

  test('172.32.0.1 and 100.128.0.1 are public', async () => {
    for (const host of ['172.32.0.1', '100.128.0.1'])
      await expect(hop('http://192.0.2.1/', `http://${host}/`)).resolves.toBeDefined();
  });

  test('a name counts by every address that it has', async () => {
    resolving({
      'one.test': ['192.0.2.1'],
      'sly.test': ['192.0.2.1', '169.254.169.254'],
      'half.test': ['192.0.2.1', '10.0.0.1'],
    });
    await expect(hop('http://one.test/', 'http://sly.test/')).rejects.toThrow(/link-local/);
    await expect(hop('http://one.test/', 'http://half.test/')).rejects.toThrow(/private/);
    // what does not resolve is told by the connection
    await expect(hop('http://one.test/', 'http://nowhere.test/')).resolves.toBeDefined();
  });
});

test('any location gives a URL of http or https, or a refusal', async () => {
  resolving({});
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.webUrl()), async (location) => {
      const next = await hop('http://192.0.2.1/a', location).catch((error: unknown) => {
        expect(error).toMatchObject(refusal);
        return undefined;
      });
      if (next) expect(next.url.protocol).toMatch(/^https?:$/);
    }),
  );
});
