import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseChallenges } from '../../../src/oci/challenge.ts';

const plain = (header: string | string[]) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe('challenges', () => {
  test.each<[string | string[], unknown]>([
    ['', []],
    ['Basic realm="Registry"', [['basic', { realm: 'Registry' }]]],
    [
      'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
      [
        [
          'bearer',
          {
            realm: 'https://auth.example/token',
            service: 'registry.example',
            scope: 'repository:a/b:pull,push',
          },
        ],
      ],
    ],
    ['bearer REALM = "x" , service = y', [['bearer', { realm: 'x', service: 'y' }]]],
    [
      'Basic realm="a, b", Bearer realm="c"',
      [
        ['basic', { realm: 'a, b' }],
        ['bearer', { realm: 'c' }],
      ],
    ],
    [
      ['Basic realm="a"', 'Bearer realm="b",error="invalid_token"'],
      [
        ['basic', { realm: 'a' }],
        ['bearer', { realm: 'b', error: 'invalid_token' }],
      ],
    ],
    [
      'Negotiate, Basic realm="a"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'a' }],
      ],
    ],
    [
      'Negotiate abc==, Basic realm="a"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'a' }],
      ],
    ],
    ['Bearer realm="say \\"hi\\" \\\\"', [['bearer', { realm: 'say "hi" \\' }]]],
    [', ,Basic realm="a",', [['basic', { realm: 'a' }]]],
    ['Bearer realm="open', [['bearer', {}]]],
  ])('%j', (header, wanted) => {
    expect(plain(header).slice(0, (wanted as unknown[]).length)).toEqual(wanted);
  });

  test('whatever was written is read again', () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const value = fc.string({ unit: fc.constantFrom('a', ',', ' ', '"', '\\', '=', ':', '/') });
    const challenge = fc.tuple(
      word,
      fc.dictionary(word, value, { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
    );
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (challenges) => {
        const header = challenges
          .map(([scheme, parameters]) => {
            const list = Object.entries(parameters).map(
              ([name, text]) => `${name}="${text.replace(/["\\]/g, '\\$&')}"`,
            );
            return `${scheme} ${list.join(',')}`;
          })
          .join(', ');
        expect(plain(header)).toEqual(challenges);
      }),
    );
  });

  test('ends on anything', () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        parseChallenges(header);
      }),
    );
  });
});
