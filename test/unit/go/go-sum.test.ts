import { describe, expect, test } from 'vitest';
import { parseGoSum } from '../../../src/go/go-sum.ts';

const hash = (letter: string) => `h1:${letter.repeat(43)}=`;
const EMPTY = 'h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=';
const all = ['info', 'mod', 'zip'];

describe('a go.sum', () => {
  test('wants all files of what it has as a whole, and the .mod of the rest, each version once', () => {
    const text = [
      `example.com/a v1.0.0 ${hash('a')}`,
      `example.com/a v1.0.0/go.mod ${hash('b')}`,
      `example.com/b v1.0.0/go.mod ${hash('c')}`,
      '',
      `example.com/c/v2\tv2.0.0/go.mod   ${hash('d')}`,
      `example.com/d v1.0.0/go.mod ${hash('e')}`,
      `example.com/d v1.0.0 ${hash('f')}\r`,
      `example.com/a v1.1.0/go.mod ${hash('a')}`,
      `golang.org/toolchain v0.0.1-go1.25.0.linux-amd64 ${hash('a')}`,
    ].join('\n');
    expect(parseGoSum(text, 'go.sum')).toEqual([
      { module: 'example.com/a', version: 'v1.0.0', files: all },
      { module: 'example.com/b', version: 'v1.0.0', files: ['mod'] },
      { module: 'example.com/c/v2', version: 'v2.0.0', files: ['mod'] },
      { module: 'example.com/d', version: 'v1.0.0', files: all },
      { module: 'example.com/a', version: 'v1.1.0', files: ['mod'] },
      { module: 'golang.org/toolchain', version: 'v0.0.1-go1.25.0.linux-amd64', files: all },
    ]);
  });

  test('passes over what go passes over, and takes hashes of other kinds', () => {
    const text = `\n \t\nexample.com/a v1.0.0/go.mod ${EMPTY}\nexample.com/b v1.0.0 h2:later\n`;
    expect(parseGoSum(text, 'go.sum').map(({ module }) => module)).toEqual(['example.com/b']);
    expect(parseGoSum('', 'go.sum')).toEqual([]);
  });

  test.each([
    ['two fields', 'example.com/a v1.0.0', /^x:1: it has 2 fields/],
    ['four fields', `example.com/a v1.0.0 ${hash('a')} more`, /^x:1: it has 4 fields/],
    ['no module', `example v1.0.0 ${hash('a')}`, /^x:1: .*not a module path/],
    ['no version', `example.com/a master ${hash('a')}`, /^x:1: .*not a semantic version/],
    ['another major', `example.com/a v2.0.0 ${hash('a')}`, /^x:1: .*does not fit/],
    ['a short hash', 'example.com/a v1.0.0 h1:abc=', /^x:1: its hash/],
    ['no hash', 'example.com/a v1.0.0 abc', /^x:1: its hash/],
    ['a conflict', `example.com/a v1.0.0 ${hash('a')}\n<<<<<<< HEAD\n`, /^x:2: it has 2 fields/],
  ])('with %s is refused, with the line', (_what, text, sentence) => {
    expect(() => parseGoSum(text, 'x')).toThrow(sentence);
  });

  test('has all its bad lines told, up to twenty', () => {
    const text = `good.com/a v1.0.0 ${hash('a')}\n${'bad\n'.repeat(30)}`;
    let said = '';
    try {
      parseGoSum(text, 'go.sum');
    } catch (error) {
      said = (error as Error).message;
    }
    const lines = said.split('\n');
    expect(lines).toHaveLength(21);
    expect(lines[0]).toMatch(/^go\.sum:2: /);
    expect(lines[20]).toBe('and 10 more bad lines');
  });
});
