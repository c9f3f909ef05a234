// What tests expect of answers, whichever part gave them.

import { expect } from 'vitest';
import type { Body } from './body.ts';
import { request } from './http.ts';
import type { Reply, RequestOptions } from './http.ts';
import { eventually } from './tmp.ts';

/** A complete 200 with exactly these bytes. */
export function expectBytes(reply: Reply, body: Body): void {
  const { status, complete, length, sha256 } = reply;
  const wanted = { status: 200, complete: true, length: body.size, sha256: body.sha256 };
  expect({ status, complete, length, sha256 }).toEqual(wanted);
}

/** An error that the go command shows to people: status, plain text, the reason on line 1, short and printable. */
export function expectGoError(reply: Reply, status: number, reason: string | RegExp = /\S/): void {
  expect(reply).toMatchObject({ status, complete: true });
  expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8');
  const text = new TextDecoder('utf-8', { fatal: true }).decode(reply.body);
  const lines = text.trimEnd().split('\n');
  expect(lines[0]).toMatch(reason);
  expect(lines.length).toBeLessThanOrEqual(8);
  expect(reply.length).toBeLessThanOrEqual(600);
  expect(text).toMatch(/^[\P{C}\n\t]*$/u);
}

/**
 * Bytes that must not reach anybody whole: an error, or, where the transfer had begun, one that broke.
 * A client that has to give up by itself is neither.
 */
export function expectRefused(reply: Reply, statuses: readonly number[]): void {
  if (reply.complete) {
    expect(statuses).toContain(reply.status);
    expectGoError(reply, reply.status);
  } else {
    expect(reply.status).toBe(200);
    expect(reply.error?.message).not.toMatch(/gave up/);
  }
}

/** How the answer came about. */
export const outcomeOf = (reply: Reply): string => String(reply.headers['x-larder-cache']);

/** Asks until a complete 200 comes: a failure is remembered for a moment. */
export function whenServed(
  base: string,
  path: string,
  options: RequestOptions = {},
): Promise<Reply> {
  return eventually(`${path} is served`, async () => {
    const reply = await request(base, path, options);
    return reply.complete && reply.status === 200 && reply;
  });
}

/** Asks until the answer comes out of the store: a stash ends shortly after the transfer. */
export function whenStored(base: string, path: string): Promise<Reply> {
  return eventually(`${path} is a hit`, async () => {
    const reply = await request(base, path);
    return reply.complete && outcomeOf(reply) === 'hit' && reply;
  });
}
