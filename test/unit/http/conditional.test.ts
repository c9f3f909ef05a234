import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseRange, notModified, type ByteRange } from '../../../src/http/conditional.ts';

const modifiedMs = Date.parse('2026-01-02T03:04:05Z');
const http = (ms: number) => new Date(ms).toUTCString();
const validators = { etag: '"abc"', modifiedMs };
const unchecked = { etag: undefined, modifiedMs: undefined };

type Range = ByteRange | 'whole' | 'unsatisfiable';
const of = (start: number, end: number): Range => ({ start, end });

describe('Range', () => {
  const table: readonly [string, number | undefined, Range][] = [
    ['bytes=0-0', 10, of(0, 1)],
    ['bytes=0-9', 10, of(0, 10)],
    ['bytes=2-4', 10, of(2, 5)],
    ['bytes=9-', 10, of(9, 10)],
    ['bytes=0-', 10, of(0, 10)],
    ['bytes=5-99', 10, of(5, 10)],
    ['bytes=-3', 10, of(7, 10)],
    ['bytes=-99', 10, of(0, 10)],
    ['Bytes=2-4', 10, of(2, 5)],
    ['bytes= 2-4 ', 10, of(2, 5)],
    ['bytes=002-004', 10, of(2, 5)],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=10-20', 10, 'unsatisfiable'],
    ['bytes=99999999999999999999-', 10, 'unsatisfiable'],
    [`bytes=${'9'.repeat(400)}-`, 10, 'unsatisfiable'],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-1', 0, 'unsatisfiable'],
    ['bytes=4-2', 10, 'whole'],
    ['bytes=20-12', 10, 'whole'],
    ['bytes=', 10, 'whole'],
    ['bytes=-', 10, 'whole'],
    ['bytes=0-1,3-4', 10, 'whole'],
    ['bytes=0-9x', 10, 'whole'],
    ['bytes=--3', 10, 'whole'],
    ['bytes=-3-', 10, 'whole'],
    ['bytes=1e3-', 10, 'whole'],
    ['bytes=+1-3', 10, 'whole'],
    ['bytes 0-9', 10, 'whole'],
    ['items=0-9', 10, 'whole'],
    ['bytes=2-4', undefined, 'whole'],
    ['bytes=2-', undefined, 'whole'],
    ['bytes=-3', undefined, 'whole'],
  ];
  test.each(table)('%s of %s bytes', (range, size, expected) => {
    expect(chooseRange({ range }, size, validators)).toEqual(expected);
  });

  test('without one, or with a header that came twice, the whole', () => {
    expect(chooseRange({}, 10, validators)).toBe('whole');
    expect(chooseRange({ range: ['bytes=0-1'] }, 10, validators)).toBe('whole');
  });

  test('any header against any size is the whole, unsatisfiable, or within bounds', () => {
    const digits = fc.oneof(
      fc.constant(''),
      fc.nat({ max: 200 }).map(String),
      fc.bigInt({ min: 0n }).map(String),
    );
    const likely = fc
      .tuple(fc.constantFrom('bytes=', 'bytes= ', 'BYTES=', 'items=', ''), digits, digits)
      .map(([unit, first, last]) => `${unit}${first}-${last}`);
    const header = fc.oneof(likely, fc.string(), fc.array(likely).map(String));
    const size = fc.oneof(fc.nat({ max: 200 }), fc.maxSafeNat(), fc.constant(undefined));
    fc.assert(
      fc.property(header, size, fc.option(fc.string()), (range, bytes, ifRange) => {
        const headers = ifRange === null ? { range } : { range, 'if-range': ifRange };
        const chosen = chooseRange(headers, bytes, validators);
        if (typeof chosen === 'string') {
          expect(['whole', 'unsatisfiable']).toContain(chosen);
          if (chosen === 'unsatisfiable') expect(bytes).toBeDefined();
          return;
        }
        expect(chosen.start).toBeGreaterThanOrEqual(0);
        expect(chosen.end).toBeGreaterThan(chosen.start);
        expect(chosen.end).toBeLessThanOrEqual(bytes ?? -1);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('If-Range', () => {
  const part = of(0, 2);
  const table: readonly [string, string, Range][] = [
    ['the ETag', '"abc"', part],
    ['another ETag', '"abd"', 'whole'],
    ['a weak ETag', 'W/"abc"', 'whole'],
    ['the very date', http(modifiedMs), part],
    ['a later date', http(modifiedMs + 1000), 'whole'],
    ['an earlier date', http(modifiedMs - 1000), 'whole'],
    ['nothing of sense', 'abc', 'whole'],
    ['nothing', '', 'whole'],
  ];
  test.each(table)('%s', (_, ifRange, expected) => {
    const headers = { range: 'bytes=0-1', 'if-range': ifRange };
    expect(chooseRange(headers, 10, validators)).toEqual(expected);
    // what has no validators yet cannot be the same
    expect(chooseRange(headers, 10, unchecked)).toBe('whole');
  });

  test('of other bytes an unsatisfiable range is the whole', () => {
    const headers = { range: 'bytes=99-', 'if-range': '"abd"' };
    expect(chooseRange(headers, 10, validators)).toBe('whole');
  });
});

describe('If-None-Match and If-Modified-Since', () => {
  const later = http(modifiedMs + 1000);
  const table: readonly [Record<string, string>, boolean][] = [
    [{}, false],
    [{ 'if-none-match': '"abc"' }, true],
    [{ 'if-none-match': 'W/"abc"' }, true],
    [{ 'if-none-match': '"x", W/"y" , "abc"' }, true],
    [{ 'if-none-match': '*' }, true],
    [{ 'if-none-match': '"abd"' }, false],
    [{ 'if-none-match': 'abc' }, false],
    [{ 'if-none-match': '' }, false],
    [{ 'if-modified-since': http(modifiedMs) }, true],
    [{ 'if-modified-since': later }, true],
    [{ 'if-modified-since': http(modifiedMs - 1000) }, false],
    [{ 'if-modified-since': 'yesterday' }, false],
    [{ 'if-none-match': '"abd"', 'if-modified-since': later }, false],
    [{ 'if-none-match': '"abc"', 'if-modified-since': http(0) }, true],
  ];
  test.each(table)('%j', (headers, expected) => {
    expect(notModified(headers, validators)).toBe(expected);
  });

  test('match nothing that is not checked yet', () => {
    expect(notModified({ 'if-none-match': '"abc"' }, unchecked)).toBe(false);
    expect(notModified({ 'if-modified-since': later }, unchecked)).toBe(false);
  });

  test('any headers at all throw nothing', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (match, since) => {
        const headers = { 'if-none-match': match, 'if-modified-since': since };
        expect(typeof notModified(headers, validators)).toBe('boolean');
        expect(typeof notModified({ 'if-modified-since': since }, unchecked)).toBe('boolean');
      }),
    );
  });
});
