import { pino } from 'pino';
import { expect, test } from 'vitest';

import { logRequest } from '../../../src/observability/access-log.ts';

const entry = {
  protocol: 'go',
  method: 'GET',
  path: '/example.com/m/@v/list',
  status: 200,
  bytes: 12,
  ms: 1.23456,
  outcome: 'hit',
  requestId: 'abc-1',
  remote: '127.0.0.1',
  userAgent: 'Go-http-client/1.1',
  user: 'alice',
  aborted: false,
} as const;

function logged(change: Partial<Parameters<typeof logRequest>[1]>, level = 'info') {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  logRequest(pino({ level, base: null, timestamp: false }, stream), { ...entry, ...change });
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('one info line has all that is known', () => {
  expect(logged({})).toEqual([
    {
      level: 30,
      protocol: 'go',
      method: 'GET',
      path: '/example.com/m/@v/list',
      status: 200,
      bytes: 12,
      ms: 1.235,
      outcome: 'hit',
      requestId: 'abc-1',
      remote: '127.0.0.1',
      userAgent: 'Go-http-client/1.1',
      user: 'alice',
      msg: 'request',
    },
  ]);
});

test('a broken transfer says so', () => {
  expect(logged({ aborted: true })).toEqual([expect.objectContaining({ aborted: true })]);
});

test('above info nothing is written', () => {
  expect(logged({}, 'warn')).toEqual([]);
});

test('a path or user agent of any length makes no long line', () => {
  const [line] = logged({ path: `/${'a'.repeat(16_000)}`, userAgent: 'b'.repeat(10_000) });
  expect(JSON.stringify(line).length).toBeLessThan(1500);
});
