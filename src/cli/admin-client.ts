// A server's admin API, as the verbs ask it.

import { setTimeout as sleep } from 'node:timers/promises';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Job, Progress } from '../references/jobs.ts';
import { serverAddress } from './server-address.ts';

/** Longest wait for one answer: a purge is answered when it is done. Milliseconds. */
const ANSWER_MS = 10 * 60_000;
/** Between two looks at a job. Milliseconds. */
const LOOK_MS = 250;

export class AdminClient {
  readonly #server: string;
  readonly #token: string;

  /** `server`: its address, with or without a slash at its end. Throws LarderError `invalid` for what is none. */
  constructor(server: string, token: string | undefined) {
    const address = serverAddress(server);
    if (token === undefined)
      throw new LarderError(
        'invalid',
        'LARDER_ADMIN_TOKEN is not set, and a server asks for it: set it, or LARDER_ADMIN_TOKEN_FILE',
      );
    this.#server = address.href.replace(/\/+$/, '');
    this.#token = token;
  }

  /** The JSON of a good answer. Throws LarderError: `invalid` for what the server does not understand. */
  async ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#server + path, {
        method,
        headers: { Authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(ANSWER_MS),
        redirect: 'error',
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (error) {
      throw new LarderError(
        'upstream_failed',
        `${this.#server} cannot be asked: ${reasonOf(error)}`,
        { cause: error },
      );
    }
    const json = parse(text);
    if (response.ok && json !== undefined) return json;
    throw new LarderError(
      response.status === 400 ? 'invalid' : 'upstream_failed',
      refusal(this.#server, response.status, json),
    );
  }

  /**
   * Starts a job and waits for its end, without a deadline: it may take hours, and tells how far it is. When the signal aborts
   * it is cancelled. Resolves with its result. Throws LarderError, and the signal's reason.
   */
  async run(
    kind: string,
    body: unknown,
    signal: AbortSignal,
    progress: (now: Progress) => void,
  ): Promise<unknown> {
    const { id } = (await this.ask('POST', `/admin/${kind}`, body)) as { id: string };
    const path = `/admin/jobs/${encodeURIComponent(id)}`;
    for (;;) {
      const job = (await this.ask('GET', path)) as Job;
      progress(job.progress);
      if (job.state === 'done') return job.result;
      if (job.state !== 'running')
        throw new LarderError('upstream_failed', job.error ?? 'somebody has cancelled it');
      try {
        await sleep(LOOK_MS, undefined, { signal });
      } catch {
        await this.ask('DELETE', path);
        throw signal.reason;
      }
    }
  }
}

function refusal(server: string, status: number, json: unknown): string {
  const sentence: unknown =
    typeof json === 'object' && json !== null && 'error' in json ? json.error : undefined;
  if (typeof sentence === 'string') return sentence;
  if (status === 404)
    return `${server} has no admin API: it has one while LARDER_ADMIN_TOKEN is set there`;
  return `${server} answers ${String(status)}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What fetch says itself is always the same. */
const reasonOf = (error: unknown): string =>
  messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
