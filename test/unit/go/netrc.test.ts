import { expect, test } from 'vitest';
import { loginFor } from '../../../src/go/netrc.ts';

const text = `# a comment
machine one.example.com login me password p1
machine two.example.com
  login you
  account nobody
  password machine
macdef init
  machine three.example.com login in-a-macro password no

machine one.example.com login later password no
machine half.example.com login alone
`;

test.for([
  ['one.example.com', { login: 'me', password: 'p1' }],
  ['two.example.com', { login: 'you', password: 'machine' }],
  ['three.example.com', undefined],
  ['half.example.com', { login: 'alone', password: '' }],
  ['example.com', undefined],
] as const)('%s', ([host, expected]) => {
  expect(loginFor(text, host)).toEqual(expected);
});

test('default stands for every host behind it', () => {
  const withDefault = `${text}default login all password d\nmachine late.example.com login x password y`;
  expect(loginFor(withDefault, 'late.example.com')).toEqual({ login: 'all', password: 'd' });
  expect(loginFor(withDefault, 'one.example.com')?.login).toBe('me');
});

test.for(['', 'machine', 'login x', 'default', 'machine x login'])('%s is no mistake', (one) => {
  expect(loginFor(one, 'other')?.password ?? '').toBe('');
});
