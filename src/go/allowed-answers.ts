// Answers on a module of which some versions may not enter: the list without these, the newest of the others.

import { LarderError } from '../engine/errors.ts';
import type { ContentRequest } from '../engine/fill.ts';
import { memoryBody } from '../engine/memory-body.ts';
import type { Ask, AnswerRequest, PullThrough, ServedAnswer } from '../engine/pull-through.ts';
import { readAll } from '../http/download.ts';
import type { AllowedList, AllowedLists } from './allowed-lists.ts';
import { whole, type GoGate } from './gate.ts';
import { MAX_INFO, parseInfo } from './info.ts';
import type { GoAnswerName, GoFileName } from './names.ts';
import { latestOf } from './version.ts';

export interface AllowedAnswersParts {
  readonly gate: GoGate;
  readonly lists: AllowedLists;
  readonly pull: PullThrough;
  readonly listOf: (module: string) => AnswerRequest;
  readonly requestOf: (name: GoFileName) => ContentRequest;
}

export class AllowedAnswers {
  readonly #parts: AllowedAnswersParts;

  constructor(parts: AllowedAnswersParts) {
    this.#parts = parts;
  }

  /** What may be told of an answer. Throws LarderError `denied` for a branch, or a latest version, that may not enter. */
  async of(name: GoAnswerName, served: ServedAnswer, ask: Ask): Promise<ServedAnswer> {
    const { module } = name;
    if (name.kind === 'list') {
      const { bytes } = await this.#listed(module, served, ask);
      // what the upstream's bytes are known by does not hold for these
      return { ...served, body: memoryBody(bytes), record: undefined };
    }
    const info = parseInfo(served.body.bytes ?? new Uint8Array());
    try {
      await this.#parts.gate.check({ module, version: info.version }, ask, info);
      return served;
    } catch (error) {
      if (!isDenied(error) || name.kind === 'query') throw error;
      return this.#newest(module, served, ask, error);
    }
  }

  async #newest(
    module: string,
    served: ServedAnswer,
    ask: Ask,
    denied: LarderError,
  ): Promise<ServedAnswer> {
    const { pull, listOf, requestOf } = this.#parts;
    const list = await pull.answer(listOf(module), whole(ask)).catch((error: unknown) => {
      // there is none: then the latest was all that there is
      throw isAbsent(error) ? denied : error;
    });
    const { versions } = await this.#listed(module, list, ask);
    const version = latestOf(versions);
    if (version === undefined) throw denied;
    const request = requestOf({ kind: 'file', module, version, ext: 'info' });
    const { body, record } = await pull.content(request, whole(ask));
    try {
      const bytes = await readAll(body.read(0, undefined, ask.signal), MAX_INFO);
      return { ...served, body: memoryBody(bytes), record };
    } finally {
      body.close();
    }
  }

  #listed(module: string, { body }: ServedAnswer, ask: Ask): Promise<AllowedList> {
    return this.#parts.lists.of(module, body.bytes ?? new Uint8Array(), ask);
  }
}

const isDenied = (error: unknown): error is LarderError =>
  error instanceof LarderError && error.code === 'denied';

const isAbsent = (error: unknown): boolean =>
  error instanceof LarderError && (error.code === 'not_found' || error.code === 'not_cached');
