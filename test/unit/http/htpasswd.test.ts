import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { parseHtpasswd } from '../../../src/http/htpasswd.ts';
import { PasswordChecker } from '../../../src/http/password-checker.ts';
import { atEnd } from '../../support/tmp.ts';

/** A hash of the right form. */
const hashOf = (cost = '10', version = '2y') => `$${version}$${cost}$${'a'.repeat(53)}`;
const parse = (text: string) => parseHtpasswd(Buffer.from(text));
const problemOf = (file: Uint8Array): string => {
  try {
    parseHtpasswd(file);
  } catch (error) {
    if (error instanceof LarderError && error.code === 'invalid') return error.message;
    throw error;
  }
  throw new Error('It was taken.');
};
const problem = (text: string) => problemOf(Buffer.from(text));

describe('a file of users', () => {
  test('has comments, blank lines, either end of line and names with anything but a colon', () => {
    const text = `\uFEFF# who\r\nalice:${hashOf()}\r\n\n  \nbob@example.com:${hashOf('04', '2b')}\nçelik jr:${hashOf('14', '2a')}`;
    expect([...parse(text)]).toEqual([
      ['alice', hashOf()],
      ['bob@example.com', hashOf('04', '2b')],
      ['çelik jr', hashOf('14', '2a')],
    ]);
  });

  test.each(['-m', '-s', '-d', '-p', '-2', '-5'])(
    'with a hash of htpasswd %s is refused, by its line',
    (kind) => {
      // some warn that they are no protection
      const line = execFileSync('htpasswd', ['-nb', kind, 'mallory', 'sesame'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      }).toString();
      const told = problem(`# kinds\nalice:${hashOf()}\n${line}`);
      expect(told).toMatch(/^line 3 has no bcrypt hash .*htpasswd -B FILE USER/);
      expect(told).not.toMatch(/mallory|sesame/);
      expect(told).not.toContain(line.trim().split(':')[1]);
    },
  );

  test.each([
    ['a line without a colon', 'alice', /^line 1 has no user/],
    ['a line without a user', `:${hashOf()}`, /^line 1 has no user/],
    ['no hash', 'alice:', /^line 1 has no bcrypt/],
    ['a cut hash', `alice:${hashOf().slice(0, -1)}`, /^line 1 has no bcrypt/],
    ['more behind the hash', `alice:${hashOf()}:x`, /^line 1 has no bcrypt/],
    ['a cost that bcrypt does not have', `alice:${hashOf('03')}`, /^line 1 has no bcrypt/],
    ['a broken version of bcrypt', `alice:${hashOf('10', '2x')}`, /^line 1 has no bcrypt/],
    ['a cost that takes for ever', `alice:${hashOf('15')}`, /^line 1 has a cost above 14/],
    ['a user twice', `a:${hashOf()}\na:${hashOf()}`, /^line 2 has a user that stands above/],
    ['nobody', '\n# none\n', /no user/],
    ['nothing', '', /no user/],
  ])('%s is refused', (_, text, sentence) => {
    expect(problem(text)).toMatch(sentence);
  });

  test('tells all lines at once', () => {
    const told = problem(`a:x\nb:${hashOf()}\nb:${hashOf()}\nc:y\nd:${hashOf('31')}`);
    expect(told).toMatch(/^lines 1, 4 have no bcrypt .*; line 3 has .*; line 5 has /);
  });

  test('is text', () => {
    expect(problemOf(Buffer.from([0x61, 0xff, 0x3a]))).toMatch(/UTF-8/);
  });

  test('never breaks, and never repeats what is in it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(problemOf(bytes)).toMatch(/^(lines? \d|it (has no user|is no text))/);
      }),
    );
  });
});

describe('a password', () => {
  const checker = new PasswordChecker();
  atEnd(() => checker.close());

  test.each([
    ['sesame', '5'],
    ['pässwörd: with everything "\\', '4'],
    ['x'.repeat(72), '4'],
  ])('%s is known by what htpasswd -B made of it', async (password, cost) => {
    const line = execFileSync('htpasswd', ['-nbB', '-C', cost, 'alice', password]);
    const hash = parseHtpasswd(line).get('alice') ?? '';
    expect(await checker.matches({ password, hash })).toBe(true);
    expect(await checker.matches({ password: password.slice(1), hash })).toBe(false);
    expect(await checker.matches({ password: '', hash })).toBe(false);
  });

  test('more than may wait are refused', async () => {
    const small = new PasswordChecker({ maxWaiting: 2 });
    atEnd(() => small.close());
    const question = { password: 'x', hash: hashOf('04') };
    const asked = await Promise.allSettled(
      Array.from({ length: 20 }, () => small.matches(question)),
    );
    const refused = asked.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(16);
    expect(refused[0]).toMatchObject({ reason: { code: 'overloaded' } });
    expect(asked[0]).toEqual({ status: 'fulfilled', value: false });
  });

  test('that waits when the checker is closed is refused', async () => {
    const closing = new PasswordChecker();
    const asked = Array.from({ length: 4 }, () =>
      closing.matches({ password: 'x', hash: hashOf('12') }),
    );
    const ended = Promise.allSettled(asked);
    await closing.close();
    for (const one of await ended) expect(one).toMatchObject({ reason: { code: 'overloaded' } });
    await expect(closing.matches({ password: 'x', hash: hashOf() })).rejects.toThrow(/too many/);
  });
});
