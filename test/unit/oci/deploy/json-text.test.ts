import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compactMembers } from '../../../../src/oci/deploy/json-text.ts';

const compact = (text: string) => compactMembers(`{"refs":[],"manifest":${text}}`).get('manifest');

describe('members of an object as text', () => {
  test.each([
    ['{ "b" : 1 , "10" : [ ] , "2" : { } }', '{"b":1,"10":[],"2":{}}'],
    [
      '{"n":1.0, "m": 1e3, "big": 12345678901234567890}',
      '{"n":1.0,"m":1e3,"big":12345678901234567890}',
    ],
    ['{"__proto__": {"a": 1}, "constructor": null}', '{"__proto__":{"a":1},"constructor":null}'],
    [
      String.raw`{"e": "\u003c \/ \" \\", "{": "}, :\\"}`,
      String.raw`{"e":"\u003c \/ \" \\","{":"}, :\\"}`,
    ],
    ['{\n\t"a": true,\r\n "b": "ü 雪"}', '{"a":true,"b":"ü 雪"}'],
    ['{}', '{}'],
  ])('%s', (text, wanted) => {
    expect(compact(text)).toBe(wanted);
  });

  test('wherever it stands among the others', () => {
    const members = compactMembers(
      ' { "manifest" : { "x" : [ 1 , 2 ] } , "refs" : [ "a" ] , "blob" : 1 } ',
    );
    expect([...members]).toEqual([
      ['manifest', '{"x":[1,2]}'],
      ['refs', '["a"]'],
      ['blob', '1'],
    ]);
    expect([...compactMembers('{}')]).toEqual([]);
  });

  test.each([
    '{"a":1,"a":2}',
    String.raw`{"a":1,"\u0061":2}`,
    '{"x":[{"y":{"a":1,"b":[],"a":{}}}]}',
  ])('a key that comes twice: %s', (text) => {
    expect(() => compact(text)).toThrow(/comes twice/);
  });

  test('the same key in objects beside each other is none', () => {
    expect(compact('[{"a":1},{"a":[{"a":2}]}]')).toBe('[{"a":1},{"a":[{"a":2}]}]');
  });

  test('is what JSON.stringify makes, of what it made with white space', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(' ', '\t', '    '), (text, space) => {
        const value: unknown = JSON.parse(text);
        expect(compact(JSON.stringify(value, null, space))).toBe(JSON.stringify(value));
      }),
    );
  });
});
