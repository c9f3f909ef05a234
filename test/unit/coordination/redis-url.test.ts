import { describe, expect, test } from 'vitest';
import { parseRedisUrl } from '../../../src/coordination/redis-url.ts';

const single = (host: string, port: number) => ({ name: 'single', address: { host, port } });

describe('LARDER_REDIS_URL', () => {
  test.each([
    ['redis://cache', { db: 0, tls: false, kind: single('cache', 6379) }],
    ['redis://127.0.0.1:7000/3', { db: 3, tls: false, kind: single('127.0.0.1', 7000) }],
    ['redis://[::1]:7000', { db: 0, tls: false, kind: single('::1', 7000) }],
    ['rediss://cache:6380', { db: 0, tls: true, kind: single('cache', 6380) }],
    [
      'redis://me:p%40ss%3A@cache',
      { username: 'me', password: 'p@ss:', db: 0, tls: false, kind: single('cache', 6379) },
    ],
    [
      'redis://:secret@cache',
      { password: 'secret', db: 0, tls: false, kind: single('cache', 6379) },
    ],
    [
      'redis+sentinel://a,b:1/main/2',
      {
        db: 2,
        tls: false,
        kind: {
          name: 'sentinel',
          sentinels: [
            { host: 'a', port: 26_379 },
            { host: 'b', port: 1 },
          ],
          master: 'main',
        },
      },
    ],
    [
      'redis+cluster://:s@a:1,b:2',
      {
        password: 's',
        db: 0,
        tls: false,
        kind: {
          name: 'cluster',
          nodes: [
            { host: 'a', port: 1 },
            { host: 'b', port: 2 },
          ],
        },
      },
    ],
  ])('%s', (text, target) => {
    expect(parseRedisUrl(text)).toEqual(target);
  });

  test.each([
    '',
    'cache:6379',
    'http://cache',
    'redis://',
    'redis://a,b',
    'redis://a:0',
    'redis://a:70000',
    'redis://a/x',
    'redis://a/1/2',
    'redis://secret@a',
    'redis://u:%zz@a',
    'redis+sentinel://a',
    'redis+sentinel://a/m/1/2',
    'redis+cluster://a/1',
    'redis://a b',
  ])('%j is refused, and not repeated', (text) => {
    try {
      parseRedisUrl(text);
    } catch (error) {
      expect(error).toMatchObject({ code: 'invalid' });
      expect(String(error)).not.toContain('secret');
      return;
    }
    throw new Error('it was taken');
  });
});
