import { expect, test } from 'vitest';
import { Policy, type CompiledRule, type Rule } from '../../../src/engine/policy.ts';

/** Names are one letter, with a number behind it where one thing is meant. */
const about = (letter: string, rule: Rule, number?: string): CompiledRule<string, Rule> => ({
  rule,
  matches(name) {
    if (letter !== '*' && !name.startsWith(letter)) return false;
    if (number === undefined) return true;
    return name.length === 1 ? 'partly' : name.endsWith(number);
  },
});

function policyOf(...rules: CompiledRule<string, Rule>[]): Policy<string, Rule> {
  return new Policy((name: string) => name, 'sync', rules);
}

test('without rules everything may enter, in the mode that is set', () => {
  const decision = new Policy<string, Rule>((name) => name, 'none').decide('a');
  expect(decision).toMatchObject({ number: undefined, denied: undefined, mode: 'none' });
});

test('the first rule that matches decides, and no later one adds to it', () => {
  const policy = policyOf(
    about('a', { mode: 'async' }),
    about('*', { deny: 'no', minAgeMs: 5 }),
    about('b', {}),
  );
  expect(policy.decide('a1')).toMatchObject({
    number: 1,
    denied: undefined,
    mode: 'async',
    minAgeMs: 0,
  });
  expect(policy.decide('b1')).toMatchObject({ number: 2, denied: 'no', mode: 'sync' });
  expect(() => policy.admit('b1')).toThrow('no');
});

test('a rule about some of a name decides on these alone', () => {
  const policy = policyOf(about('a', { deny: 'no ones' }, '1'), about('a', { mode: 'none' }));
  expect(policy.decide('a1')).toMatchObject({ number: 1, denied: 'no ones' });
  expect(policy.decide('a2')).toMatchObject({ number: 2, denied: undefined, selective: false });
  expect(policy.decide('a')).toMatchObject({ number: 2, denied: undefined, selective: true });
});

test('a name is let in where some of it is', () => {
  const policy = policyOf(
    about('a', {}, '1'),
    about('a', { mode: 'async' }, '2'),
    about('*', { deny: 'no' }),
  );
  expect(policy.decide('a')).toMatchObject({ number: 1, denied: undefined, selective: true });
  expect(policy.decide('a3')).toMatchObject({ number: 3, denied: 'no' });
  expect(policy.decide('b')).toMatchObject({ number: 3, denied: 'no' });
});

test('a rule of some of a name that no other rule is about', () => {
  const policy = policyOf(about('a', { deny: 'no' }, '1'));
  expect(policy.decide('a')).toMatchObject({
    number: undefined,
    denied: undefined,
    selective: true,
  });
  expect(policyOf(about('a', { mode: 'none' }, '1')).decide('a').selective).toBe(false);
});

test('other rules decide at once', () => {
  const policy = policyOf(about('a', {}));
  expect(policy.decide('a').denied).toBeUndefined();
  policy.replace([about('a', { deny: 'no' })]);
  expect(policy.decide('a').denied).toBe('no');
  policy.replace([]);
  expect(policy.decide('a').denied).toBeUndefined();
});
