import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeScope, encodeScope } from '../../../src/coordination/announced.ts';

test('a scope comes out of its messages as it went in', () => {
  const names = fc.array(fc.string(), { maxLength: 1200 });
  fc.assert(
    fc.property(names, names, (keys, folders) => {
      const messages = encodeScope('me', { keys, folders }).map(decodeScope);
      expect(messages.flatMap((one) => one.keys)).toEqual(keys);
      expect(messages.flatMap((one) => one.folders)).toEqual(folders);
      for (const one of messages) {
        expect(one.from).toBe('me');
        expect(one.keys.length + one.folders.length).toBeLessThanOrEqual(500);
      }
    }),
    { numRuns: 50 },
  );
});

test.each([
  '',
  '{',
  'null',
  '[]',
  '"text"',
  '{"from":"x","keys":[]}',
  '{"from":1,"keys":[],"folders":[]}',
  '{"from":"x","keys":[1],"folders":[]}',
  '{"from":"x","keys":{"length":1},"folders":[]}',
])('%j is no message', (message) => {
  expect(() => decodeScope(message)).toThrow(Error);
});
