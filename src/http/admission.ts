// Asks somebody else whether what was fetched may be kept: one POST for each version or manifest.

import { LRUCache } from 'lru-cache';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Admission, Entrant } from '../engine/ports.ts';
import type { UpstreamClient } from './client.ts';
import { orAborted } from './deadline.ts';
import { readAll } from './download.ts';

/** For one answer, all tries together, milliseconds. */
const ANSWER_MS = 10_000;
/** Bytes of a reason. */
const MAX_REASON = 16 * 1024;
/** Answers in memory. */
const REMEMBERED = 20_000;
/** How long an answer holds, milliseconds: all files of a version come within it; a refusal may be taken back. */
const ALLOWED_MS = 3_600_000;
const REFUSED_MS = 60_000;

export interface AdmissionWebhookOptions {
  /** May hold a secret in its query. */
  readonly url: URL;
  /** What happens where there is neither a 2xx nor a 403. */
  readonly onFailure: 'deny' | 'allow';
  readonly client: Pick<UpstreamClient, 'send'>;
  /** Told of each time that there is neither. */
  readonly onUnreachable: (entrant: Entrant, reason: string) => void;
}

interface Verdict {
  readonly refused: string | undefined;
}

export class AdmissionWebhook implements Admission {
  readonly #options: AdmissionWebhookOptions;
  readonly #verdicts = new LRUCache<string, Verdict>({ max: REMEMBERED });
  readonly #asking = new Map<string, Promise<Verdict>>();

  constructor(options: AdmissionWebhookOptions) {
    this.#options = options;
  }

  async admit(entrant: Entrant, signal: AbortSignal): Promise<void> {
    const { protocol, name } = entrant;
    const key = `${protocol}:${name}@${entrant.protocol === 'go' ? entrant.version : entrant.digest}`;
    const { refused } =
      this.#verdicts.get(key) ?? (await orAborted(this.#shared(key, entrant), signal));
    if (refused !== undefined) throw new LarderError('denied', refused, { outcome: 'miss' });
  }

  /** Forgets all answers. */
  forget(): void {
    this.#verdicts.clear();
  }

  #shared(key: string, entrant: Entrant): Promise<Verdict> {
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = this.#ask(key, entrant).finally(() => this.#asking.delete(key));
      this.#asking.set(key, asking);
    }
    return asking;
  }

  async #ask(key: string, entrant: Entrant): Promise<Verdict> {
    try {
      const verdict = await this.#answer(entrant);
      const ttl = verdict.refused === undefined ? ALLOWED_MS : REFUSED_MS;
      this.#verdicts.set(key, verdict, { ttl });
      return verdict;
    } catch (error) {
      const { onFailure, onUnreachable } = this.#options;
      onUnreachable(entrant, messageOf(error));
      const refused = 'whether this may be kept cannot be asked for now; try again later';
      return { refused: onFailure === 'deny' ? refused : undefined };
    }
  }

  /** Throws LarderError for what is neither 2xx nor 403. */
  async #answer(entrant: Entrant): Promise<Verdict> {
    const { url, client } = this.#options;
    const { signal } = new AbortController();
    const { status, body } = await client.send({
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(entrant),
      firstByteMs: ANSWER_MS,
      rateWaitMs: ANSWER_MS,
      stallMs: ANSWER_MS,
      signal,
    });
    if (status === 403) {
      const text = (await readAll(body, MAX_REASON)).toString();
      const [line = ''] = text.trim().split(/\r?\n/);
      return { refused: line === '' ? 'refused by the admission service' : line };
    }
    body.destroy();
    if (status >= 200 && status < 300) return { refused: undefined };
    throw new LarderError('upstream_failed', `the admission service answers ${String(status)}`);
  }
}
