// An upstream's answers: passed on from elsewhere, spoiled by a fault, and conditional.

import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { gzipSync } from 'node:zlib';
import { Body } from './body.ts';
import type { Fault } from './faults.ts';

export interface Answer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Body;
  readonly isFile: boolean;
}

/** A short text of the mock's own. */
export const text = (status: number, body: string): Answer => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body: Body.of(body),
  isFile: false,
});

/** What the server at that URL answers; a checksum database is supported. */
export async function passOn(url: string, signal: AbortSignal): Promise<Answer> {
  if (url.endsWith('/supported')) return text(200, '');
  const response = await fetch(url, { signal });
  const body = Body.of(await response.bytes());
  const type = response.headers.get('content-type') ?? 'text/plain; charset=utf-8';
  return { status: response.status, headers: { 'content-type': type }, body, isFile: false };
}

/** The answer that the fault wants in place of the true one. */
export function spoil(answer: Answer, fault: Fault, path: string): Answer {
  if (fault.redirect !== undefined) {
    const location = typeof fault.redirect === 'string' ? fault.redirect : fault.redirect(path);
    return { status: fault.status ?? 302, headers: { location }, body: Body.of(''), isFile: false };
  }
  let faulty = answer;
  if (fault.body !== undefined) faulty = { ...answer, status: 200, body: Body.of(fault.body) };
  if (fault.status !== undefined && fault.status !== faulty.status) {
    const { status } = fault;
    faulty =
      fault.body === undefined
        ? text(status, `this mock upstream says ${String(status)}\n`)
        : { ...faulty, status };
  }
  if (fault.gzip === true) {
    const headers = { ...faulty.headers, 'content-encoding': 'gzip' };
    faulty = { ...faulty, headers, body: Body.of(gzipSync(faulty.body.bytes())) };
  }
  return { ...faulty, headers: { ...faulty.headers, ...fault.headers } };
}

interface Conditional {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  /** Which bytes to send: [start, end). */
  readonly range: readonly [number, number];
}

/** RFC 9110, sections 13 and 14: strong ETags, If-None-Match, one Range, If-Range. */
export function conditional(
  answer: Answer,
  asked: IncomingHttpHeaders,
  validators: boolean,
): Conditional {
  const { status, headers, body } = answer;
  const whole: Conditional = { status, headers: { ...headers }, range: [0, body.size] };
  if (!validators || !answer.isFile || status !== 200) return whole;

  const etag = `"${body.sha256.slice(0, 24)}"`;
  whole.headers.etag = etag;
  whole.headers['accept-ranges'] = 'bytes';
  if (asked['if-none-match']?.includes(etag) === true) return { ...whole, status: 304 };

  const range = rangeAsked(asked, etag, body.size);
  if (range === undefined) return whole;
  const [start, end] = range;
  const size = String(body.size);
  if (start >= body.size) {
    const refusal = { ...whole.headers, 'content-range': `bytes */${size}` };
    return { status: 416, headers: refusal, range: [0, 0] };
  }
  const contentRange = `bytes ${String(start)}-${String(end - 1)}/${size}`;
  return { status: 206, headers: { ...whole.headers, 'content-range': contentRange }, range };
}

/** [start, end) of the one range that counts; undefined when the whole is to be sent. */
function rangeAsked(
  asked: IncomingHttpHeaders,
  etag: string,
  size: number,
): [number, number] | undefined {
  const [, first, last = ''] = /^bytes=(\d+)-(\d*)$/.exec(asked.range ?? '') ?? [];
  const condition = asked['if-range'];
  if (first === undefined || (condition !== undefined && condition !== etag)) return undefined;
  return [Number(first), last === '' ? size : Math.min(Number(last) + 1, size)];
}
