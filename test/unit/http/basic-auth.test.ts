import { hashSync } from 'bcryptjs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { BasicAuth, parseBasic } from '../../../src/http/basic-auth.ts';
import type { PasswordChecker } from '../../../src/http/password-checker.ts';

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** The checks are the test's own to end: what was asked, and how it is answered. */
function checks() {
  type Asked = Parameters<PasswordChecker['matches']>[0];
  const asked: (Asked & { answer: (outcome: boolean | LarderError) => void })[] = [];
  const checker = {
    matches: (question: Asked) =>
      new Promise<boolean>((resolve, reject) => {
        const answer = (outcome: boolean | LarderError) => {
          if (typeof outcome === 'boolean') resolve(outcome);
          else reject(outcome);
        };
        asked.push({ ...question, answer });
      }),
  };
  return { asked, checker };
}

const judged = async (auth: BasicAuth, header: string) => auth.judge(header);

const users = (...names: string[]) => new Map(names.map((name) => [name, `hash of ${name}`]));

describe('a header', () => {
  test.each([
    [basic('alice', 'a:b'), { user: 'alice', password: 'a:b' }],
    [basic('alice', ''), { user: 'alice', password: '' }],
    ['basic YTpi', { user: 'a', password: 'b' }],
    ['BASIC  YTpi', { user: 'a', password: 'b' }],
    [basic('ünï', 'pä💥'), { user: 'ünï', password: 'pä💥' }],
  ])('%s is read', (header, credentials) => {
    expect(parseBasic(header)).toEqual(credentials);
  });

  test.each([
    '',
    'Basic',
    'Basic ',
    'YTpi',
    'Bearer YTpi',
    'Basic YTpi, Basic YTpi',
    'Basic YT pi',
    'Basic YTpi===',
    'Basic ====',
    'Basic Y\u0000',
    `Basic ${Buffer.from('no colon').toString('base64')}`,
    `Basic ${Buffer.from(':password').toString('base64')}`,
    `Basic ${Buffer.from('a:b\0c').toString('base64')}`,
    `Basic ${Buffer.from('a\n:b').toString('base64')}`,
    `Basic ${Buffer.from([0x61, 0x3a, 0xff]).toString('base64')}`,
  ])('%j is none', (header) => {
    expect(parseBasic(header)).toBeUndefined();
  });

  test('never breaks it', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((text) => `Basic ${text}`),
        ),
        (text) => {
          const read = parseBasic(text);
          expect(read?.user !== '').toBe(true);
        },
      ),
    );
  });
});

describe('credentials', () => {
  test('that are right are compared once, also when many come at the same time', async () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice'), checker);
    const header = basic('alice', 'sesame');
    const verdicts = [judged(auth, header), judged(auth, header)];
    expect(asked).toMatchObject([{ password: 'sesame', hash: 'hash of alice' }]);
    asked[0]?.answer(true);
    expect(await Promise.all(verdicts)).toEqual([{ user: 'alice' }, { user: 'alice' }]);
    expect(auth.judge(header)).toEqual({ user: 'alice' });
    expect(asked).toHaveLength(1);
  });

  test('that are wrong are compared once, and others after them', async () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice'), checker);
    const verdict = auth.judge(basic('alice', 'guess'));
    asked[0]?.answer(false);
    expect(await verdict).toBe('wrong');
    expect(auth.judge(basic('alice', 'guess'))).toBe('wrong');
    void auth.judge(basic('alice', 'sesame'));
    expect(asked.map(({ password }) => password)).toEqual(['guess', 'sesame']);
  });

  test('of nobody cost a comparison too, always with the same hash, and never let in', async () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice', 'bob', 'carol'), checker);
    for (let i = 0; i < 20; i++) {
      const verdict = auth.judge(basic('nobody', String(i)));
      asked[i]?.answer(true);
      expect(await verdict).toBe('wrong');
    }
    expect(new Set(asked.map(({ hash }) => hash)).size).toBe(1);
    expect(asked[0]?.hash).toMatch(/^hash of (alice|bob|carol)$/);
  });

  test('of nobody take hashes as they are in the file', () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice', 'bob'), checker);
    for (let i = 0; i < 100; i++) void auth.judge(basic(`nobody${String(i)}`, 'x'));
    expect(new Set(asked.map(({ hash }) => hash)).size).toBe(2);
  });

  test('that are none cost nothing', () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice'), checker);
    for (const header of [undefined, '', 'Bearer x', 'Basic !'])
      expect(auth.judge(header)).toBe('missing');
    expect(asked).toEqual([]);
  });

  test('that could not be compared are compared again', async () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice'), checker);
    const header = basic('alice', 'sesame');
    const first = auth.judge(header);
    asked[0]?.answer(new LarderError('overloaded', 'too many'));
    await expect(first).rejects.toThrow('too many');
    const second = auth.judge(header);
    asked[1]?.answer(true);
    expect(await second).toEqual({ user: 'alice' });
  });
});

describe('a changed file', () => {
  test('begins anew for those who were accepted and those who were refused', async () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice'), checker);
    const before = [judged(auth, basic('alice', 'x')), judged(auth, basic('bob', 'x'))];
    for (const check of asked) check.answer(true);
    expect(await Promise.all(before)).toEqual([{ user: 'alice' }, 'wrong']);
    auth.replace(users('bob'));
    const after = [judged(auth, basic('alice', 'x')), judged(auth, basic('bob', 'x'))];
    for (const check of asked) check.answer(true);
    expect(await Promise.all(after)).toEqual(['wrong', { user: 'bob' }]);
  });

  test('holds for a comparison under way', async () => {
    const { asked, checker } = checks();
    const auth = new BasicAuth(users('alice'), checker);
    const verdict = auth.judge(basic('alice', 'x'));
    auth.replace(users('bob'));
    asked[0]?.answer(true);
    await expect.poll(() => asked.length).toBe(2);
    asked[1]?.answer(true);
    expect(await verdict).toBe('wrong');
    expect(auth.judge(basic('alice', 'x'))).toBe('wrong');
  });
});

test('bcrypt as it is decides', async () => {
  const { PasswordChecker: Real } = await import('../../../src/http/password-checker.ts');
  const checker = new Real();
  try {
    const auth = new BasicAuth(new Map([['alice', hashSync('sesame', 4)]]), checker);
    expect(await auth.judge(basic('alice', 'sesame'))).toEqual({ user: 'alice' });
    expect(await auth.judge(basic('alice', 'Sesame'))).toBe('wrong');
  } finally {
    await checker.close();
  }
});
