import { describe, expect, test } from 'vitest';
import { Gate } from '../support/faults.ts';
import { startRegistry, type RegistryOptions } from '../support/registry.ts';
import { registryFetcher } from '../support/registry-fetcher.ts';
import {
  basicAuthorization,
  startTokenService,
  type TokenServiceOptions,
} from '../support/token-service.ts';
import { eventually } from '../support/tmp.ts';

const { signal } = new AbortController();
const user = { kind: 'password', user: 'us er', password: 'p:w' } as const;
const pair = 'us er:p:w';
const secret = /p:w|token-\d|cDp3|identity/;

/** A registry that wants tokens, with one image, and a fetcher of it. */
async function withTokens(
  service: TokenServiceOptions = {},
  options: Parameters<typeof registryFetcher>[1] = {},
  registryOptions: RegistryOptions = {},
) {
  const tokens = await startTokenService(service);
  const registry = await startRegistry({ tokens, ...registryOptions });
  registry.addImage('a/b', 'v1', { layers: ['layer'] });
  return { tokens, registry, ...registryFetcher(registry.url, options) };
}

/** A challenge whose realm is the same server by another name: another domain, that is. */
const elsewhere = (realm: string) =>
  `Bearer realm="${realm.replace('127.0.0.1', 'localhost')}",service="mock",scope="repository:a/b:pull"`;

describe('tokens', () => {
  test.each(['token', 'access_token'] as const)('%s, anonymously', async (field) => {
    const { tokens, registry, fetcher } = await withTokens({ field });
    const head = await fetcher.headManifest('a/b', 'v1', signal);
    expect(head.digest).toMatch(/^sha256:/);
    expect(tokens.log).toHaveLength(1);
    expect(tokens.log[0]).toMatchObject({ method: 'GET', path: '/token' });
    expect(tokens.log[0]?.headers.authorization).toBeUndefined();
    expect([...(tokens.log[0]?.query ?? [])]).toEqual([
      ['service', 'mock'],
      ['scope', 'repository:a/b:pull'],
    ]);
    expect(registry.log.map(({ status }) => status)).toEqual([401, 200]);
    // known from now on: no round trip more
    await fetcher.headManifest('a/b', 'v1', signal);
    expect(registry.log.map(({ status }) => status)).toEqual([401, 200, 200]);
    expect(tokens.log).toHaveLength(1);
  });

  test('a hundred cold requests at once ask for one', async () => {
    const { tokens, registry, fetcher } = await withTokens();
    const gate = new Gate();
    tokens.fault(/^/, { gate });
    const all = Array.from({ length: 100 }, () => fetcher.headManifest('a/b', 'v1', signal));
    await eventually('all were refused', () => registry.log.length === 100);
    gate.open();
    await Promise.all(all);
    expect(tokens.log).toHaveLength(1);
    expect(registry.log).toHaveLength(200);
  });

  test('each repository has its own', async () => {
    const { tokens, registry, fetcher } = await withTokens();
    registry.addImage('c', 'v1', { layers: [] });
    for (const name of ['a/b', 'c', 'a/b', 'c']) await fetcher.headManifest(name, 'v1', signal);
    expect(tokens.log).toHaveLength(2);
  });

  test.each([
    [undefined, 60],
    [300, 300],
    [5, 5],
  ])('live as long as they say (%s): %i s', async (expiresIn, seconds) => {
    const { tokens, clock, fetcher } = await withTokens(
      expiresIn === undefined ? {} : { expiresIn },
    );
    const ask = () => fetcher.headManifest('a/b', 'v1', signal);
    await ask();
    const start = clock.ms;
    const early = Math.min(seconds * 100, 10_000);
    clock.ms = start + seconds * 1000 - early - 1;
    await ask();
    expect(tokens.log).toHaveLength(1);
    // renewed beside the requests, which go on with the old one
    clock.ms += 1;
    const gate = new Gate();
    const taken = tokens.fault(/^/, { gate });
    await Promise.all([ask(), ask()]);
    await gate.reached;
    gate.open();
    taken();
    await eventually(
      'the new one is there',
      () => tokens.log.length === 2 && tokens.log[1]?.status === 200,
    );
    clock.ms = start + seconds * 1000;
    await ask();
    expect(tokens.log).toHaveLength(2);
    // and waited for when it has ended
    clock.ms += seconds * 1000;
    await ask();
    expect(tokens.log).toHaveLength(3);
  });

  test('one that is not taken any more is asked for anew, once', async () => {
    const { tokens, registry, fetcher } = await withTokens();
    await fetcher.headManifest('a/b', 'v1', signal);
    tokens.revokeAll();
    registry.clearLog();
    await Promise.all([1, 2, 3].map(() => fetcher.headManifest('a/b', 'v1', signal)));
    expect(tokens.log).toHaveLength(2);
    expect(registry.log.filter(({ status }) => status === 200)).toHaveLength(3);
  });

  test.each([
    [[401, 503, 503], 200],
    [[503, 401, 503], 200],
    [[503, 401, 503, 503], 503],
  ])('a challenge is no failed try, and gives no more of them: %j', async (statuses, last) => {
    const { tokens, registry, fetcher } = await withTokens();
    const headers = { 'www-authenticate': `Bearer realm="${tokens.realm}"` };
    // the newest fault that is not over counts
    for (const status of statuses.toReversed()) registry.fault(/^/, { status, headers, times: 1 });
    const asked = fetcher.headManifest('a/b', 'v1', signal);
    if (last === 200) await asked;
    else await expect(asked).rejects.toMatchObject({ code: 'upstream_failed' });
    expect(registry.log.map(({ status }) => status)).toEqual(
      last === 200 ? [...statuses, 200] : statuses,
    );
  });

  test('one that is never taken', async () => {
    const { tokens, registry, fetcher } = await withTokens();
    registry.fault(/^/, {
      status: 401,
      headers: { 'www-authenticate': `Bearer realm="${tokens.realm}",service="mock"` },
    });
    await expect(fetcher.headManifest('a/b', 'v1', signal)).rejects.toMatchObject({
      code: 'upstream_unauthorized',
    });
    expect(registry.log).toHaveLength(2);
    expect(tokens.log).toHaveLength(1);
    // what the challenge leaves out
    expect(tokens.log[0]?.query.get('scope')).toBe('repository:a/b:pull');
  });

  test.each([
    [{ status: 401 }, 'upstream_unauthorized', 1],
    [{ status: 403 }, 'upstream_forbidden', 1],
    [{ status: 404 }, 'upstream_failed', 1],
    [{ status: 429, headers: { 'retry-after': '7' } }, 'rate_limited', 1],
    [{ status: 503 }, 'upstream_failed', 3],
    [{ hangUp: true }, 'upstream_failed', 3],
    [{ body: '<html>' }, 'upstream_failed', 1],
    [{ body: '{"token":"a\\nb"}' }, 'upstream_failed', 1],
    [{ body: 'null' }, 'upstream_failed', 1],
    [{ redirect: 'http://169.254.169.254/' }, 'upstream_failed', 1],
  ])('a token server that answers %j: %s', async (fault, code, times) => {
    const { tokens, registry, fetcher } = await withTokens({ user: pair }, { credential: user });
    const taken = tokens.fault(/^/, fault);
    const failed: unknown = await fetcher
      .headManifest('a/b', 'v1', signal)
      .catch((e: unknown) => e);
    expect(failed).toMatchObject({ code });
    expect(String(failed)).not.toMatch(secret);
    expect(tokens.log).toHaveLength(times);
    expect(registry.log).toHaveLength(1);
    taken();
    if (code === 'rate_limited') {
      expect(failed).toMatchObject({ retryAfterMs: 7000 });
      return; // it wants to be left alone
    }
    // nothing of it is kept
    await fetcher.headManifest('a/b', 'v1', signal);
  });

  test.each([{ hang: true }, { holdAfter: 3 }])('a token server that hangs: %j', async (fault) => {
    const { tokens, fetcher } = await withTokens({}, { firstByteMs: 300 });
    const taken = tokens.fault(/^/, fault);
    await expect(fetcher.headManifest('a/b', 'v1', signal)).rejects.toMatchObject({
      code: 'upstream_timeout',
      message: expect.stringMatching(/fetch timed out/) as unknown,
    });
    expect(tokens.log).toHaveLength(1);
    taken();
    await eventually('a token comes', () => fetcher.headManifest('a/b', 'v1', signal));
  });

  test('a token server that has moved is learned of again', async () => {
    const { tokens, registry, clock, fetcher } = await withTokens();
    await fetcher.headManifest('a/b', 'v1', signal);
    const moved = await startTokenService();
    await tokens.down();
    clock.ms += 60_000;
    const challenge = `Bearer realm="${moved.realm}",service="moved"`;
    registry.fault(/^/, { times: 1, status: 401, headers: { 'www-authenticate': challenge } });
    await expect(fetcher.headManifest('a/b', 'v1', signal)).rejects.toThrow(/connection refused/);
    expect(moved.log).toHaveLength(0);
    // this registry takes the tokens of its first service alone: that the other one was asked is what counts
    await fetcher.headManifest('a/b', 'v1', signal).catch(() => undefined);
    expect(moved.log.map(({ url }) => url)).toEqual([
      '/token?service=moved&scope=repository%3Aa%2Fb%3Apull',
    ]);
  });

  test('who leaves ends no token request that others wait for', async () => {
    const { tokens, fetcher } = await withTokens();
    const gate = new Gate();
    tokens.fault(/^/, { gate });
    const leaver = new AbortController();
    const left = fetcher.headManifest('a/b', 'v1', leaver.signal);
    const stays = fetcher.headManifest('a/b', 'v1', signal);
    await gate.reached;
    leaver.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    gate.open();
    await stays;
    expect(tokens.log).toHaveLength(1);
  });
});

describe('credentials', () => {
  test('go to a token server of the same host', async () => {
    const { tokens, registry, fetcher } = await withTokens({ user: pair }, { credential: user });
    await fetcher.headManifest('a/b', 'v1', signal);
    expect(tokens.log.map(({ headers }) => headers.authorization)).toEqual([
      basicAuthorization(pair),
    ]);
    expect(registry.log.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      'Bearer token-1',
    ]);
  });

  test('never to one elsewhere: it is asked anonymously', async () => {
    const tokens = await startTokenService();
    const registry = await startRegistry({ tokens, challenge: elsewhere(tokens.realm) });
    registry.addImage('a/b', 'v1', { layers: [] });
    for (const credential of [user, { kind: 'identity', token: 'identity' } as const]) {
      tokens.clearLog();
      const { fetcher } = registryFetcher(registry.url, { credential });
      await fetcher.headManifest('a/b', 'v1', signal);
      expect(tokens.log).toHaveLength(1);
      expect(tokens.log[0]).toMatchObject({ method: 'GET', body: '' });
      expect(tokens.log[0]?.headers.authorization).toBeUndefined();
    }
  });

  test('to one elsewhere that is listed', async () => {
    const tokens = await startTokenService({ user: pair });
    const registry = await startRegistry({ tokens, challenge: elsewhere(tokens.realm) });
    registry.addImage('a/b', 'v1', { layers: [] });
    const realms = [tokens.host.replace('127.0.0.1', 'localhost')];
    const { fetcher } = registryFetcher(registry.url, { credential: user, realms });
    await fetcher.headManifest('a/b', 'v1', signal);
    expect(tokens.log[0]?.headers.authorization).toBe(basicAuthorization(pair));
  });

  test('an identity token is posted, and goes on to no redirect', async () => {
    const { tokens, fetcher } = await withTokens(
      { refreshToken: 'identity', field: 'access_token' },
      { credential: { kind: 'identity', token: 'identity' } },
    );
    const taken = tokens.fault('/token', { redirect: `${tokens.url}/other`, status: 307 });
    const failed: unknown = await fetcher
      .headManifest('a/b', 'v1', signal)
      .catch((e: unknown) => e);
    expect(failed).toMatchObject({ code: 'upstream_failed' });
    expect(tokens.log.map(({ path }) => path)).toEqual(['/token']);
    taken();
    await fetcher.headManifest('a/b', 'v1', signal);
    expect(tokens.log).toHaveLength(2);
    expect(tokens.log[1]).toMatchObject({ method: 'POST', url: '/token' });
    expect(Object.fromEntries(new URLSearchParams(tokens.log[1]?.body))).toEqual({
      grant_type: 'refresh_token',
      client_id: 'larder',
      service: 'mock',
      scope: 'repository:a/b:pull',
      refresh_token: 'identity',
    });
  });

  test('Basic only where it is asked for, and from then on', async () => {
    const registry = await startRegistry({ basic: pair });
    registry.addImage('a', 'v1', { layers: [] });
    const { fetcher } = registryFetcher(registry.url, { credential: user });
    await fetcher.headManifest('a', 'v1', signal);
    await fetcher.headManifest('a', 'v1', signal);
    const sent = basicAuthorization(pair);
    expect(registry.log.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      sent,
      sent,
    ]);
  });

  test.each([undefined, { ...user, password: 'wrong' }])(
    'Basic without or with wrong ones: %j',
    async (credential) => {
      const registry = await startRegistry({ basic: pair });
      const { fetcher } = registryFetcher(registry.url, credential && { credential });
      for (const times of credential ? [2, 3] : [1, 2]) {
        await expect(fetcher.headManifest('a', 'v1', signal)).rejects.toMatchObject({
          code: 'upstream_unauthorized',
        });
        expect(registry.log).toHaveLength(times);
      }
    },
  );

  test('Bearer goes before Basic, in several headers too', async () => {
    const tokens = await startTokenService({ user: pair });
    const bearer = `Bearer realm="${tokens.realm}",scope="repository:a:pull"`;
    const registry = await startRegistry({ tokens, challenge: ['Basic realm="a, b"', bearer] });
    registry.addImage('a', 'v1', { layers: [] });
    const { fetcher } = registryFetcher(registry.url, { credential: user });
    await fetcher.headManifest('a', 'v1', signal);
    expect(registry.log.at(-1)?.headers.authorization).toBe('Bearer token-1');
  });

  test('not to a server that a registry redirects to, whatever it asks for', async () => {
    const other = await startRegistry({ basic: pair });
    const registry = await startRegistry();
    registry.fault(/^/, { redirect: (path) => other.url + path, status: 307 });
    const { fetcher } = registryFetcher(registry.url, { credential: user });
    await expect(fetcher.headManifest('a', 'v1', signal)).rejects.toMatchObject({
      code: 'upstream_unauthorized',
    });
    expect(other.log.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    expect(registry.log).toHaveLength(1);
  });

  test('a token server on a link-local address is not asked', async () => {
    const realm = 'http://169.254.169.254/latest/meta-data';
    const { fetcher } = await withTokens({}, {}, { challenge: `Bearer realm="${realm}"` });
    await expect(fetcher.headManifest('a/b', 'v1', signal)).rejects.toMatchObject({
      code: 'upstream_failed',
      message: expect.stringMatching(/link-local/) as unknown,
    });
  });
});
