import { expect, test } from 'vitest';
import { goModHash, verifySums } from '../../../src/go/sumdb/check.ts';

const LINES = [
  'example.com/m v1.0.0 h2:later',
  'example.com/m v1.0.0 h1:zip',
  'example.com/m v1.0.0/go.mod h1:mod',
];
const verify = (downloaded: Parameters<typeof verifySums>[3], lines = LINES) => {
  verifySums(lines, 'example.com/m', 'v1.0.0', downloaded);
};

test('takes what is listed', () => {
  verify({ zipH1: 'h1:zip' });
  verify({ goModH1: 'h1:mod' });
});

test('refuses another hash, and names both', () => {
  expect(() => {
    verify({ zipH1: 'h1:mod' });
  }).toThrow(
    expect.objectContaining({
      code: 'checksum_mismatch',
      message:
        'checksum mismatch: verifying module example.com/m@v1.0.0: downloaded: h1:mod, checksum database: h1:zip',
    }),
  );
  expect(() => {
    verify({ goModH1: 'h1:zip' });
  }).toThrow(/^checksum mismatch: verifying go\.mod example\.com\/m@v1\.0\.0: .*h1:zip.*h1:mod$/);
});

test('the first h1 line decides', () => {
  const lines = ['example.com/m v1.0.0 h1:first', 'example.com/m v1.0.0 h1:zip'];
  expect(() => {
    verify({ zipH1: 'h1:zip' }, lines);
  }).toThrow(/h1:first$/);
});

test.each([
  [[]],
  [['example.com/m v1.0.0/go.mod h1:zip']],
  [['example.com/m v1.0.1 h1:zip']],
  [['example.com/m2 v1.0.0 h1:zip']],
  [['example.com/m v1.0.0 h2:zip']],
])('refuses when no line is about the zip: %j', (lines) => {
  expect(() => {
    verify({ zipH1: 'h1:zip' }, lines);
  }).toThrow(
    expect.objectContaining({
      code: 'checksum_mismatch',
      message: expect.stringContaining('lists no h1') as string,
    }),
  );
});

test('goModHash is what the go command writes into go.sum', () => {
  // rsc.io/quote v1.5.2 and golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c, as in many a go.sum
  const quote = 'module "rsc.io/quote"\n\nrequire "rsc.io/sampler" v1.3.0\n';
  expect(goModHash(Buffer.from(quote))).toBe('h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=');
  const text = 'module golang.org/x/text\n';
  expect(goModHash(Buffer.from(text))).toBe('h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=');
});
