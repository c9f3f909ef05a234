// The go command as a tool of Larder: a bounded number of runs at once, each with its deadline, in an environment made for it.

import { LarderError } from '../../engine/errors.ts';
import { Slots } from '../../engine/limits.ts';
import { withDeadline } from '../../http/deadline.ts';
import { complaint, saysTooLittle } from './complaint.ts';
import { run, type Ended } from './command.ts';
import { goEnvironment, hgrc, HGRC, type VcsSettings } from './environment.ts';
import { Workspace, type Workplace } from './workspace.ts';

/** Runs at once, each with what it starts; apart, so that lists are answered while downloads hang. */
const DOWNLOADS = { places: 8, maxWaiting: 256, maxWaitMs: 30_000 };
const QUESTIONS = { places: 4, maxWaiting: 64, maxWaitMs: 30_000 };
/** Of clones and what go makes of them; past it they are given up. */
const MAX_BYTES = 4 * 1024 ** 3;

export class GoCommand {
  readonly #settings: VcsSettings;
  readonly #workspace: Workspace;
  readonly #downloads = new Slots(DOWNLOADS);
  readonly #questions = new Slots(QUESTIONS);
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  /** `root`: a folder for this alone, of which what was there before goes with `sweep`. */
  constructor(root: string, settings: VcsSettings, maxBytes = MAX_BYTES) {
    this.#settings = settings;
    const { netrc } = settings;
    this.#workspace = new Workspace(root, maxBytes, { netrc, files: { [HGRC]: hgrc(settings) } });
  }

  sweep(): Promise<void> {
    return this.#workspace.sweep();
  }

  /** Runs that begin from now on ask version control anew: a clone knows tags as they were. */
  forget(): void {
    this.#workspace.renew();
  }

  /** Kills what runs, and resolves when it is gone and its folders are. */
  async close(): Promise<void> {
    this.#closing.abort(new LarderError('overloaded', 'the server is stopping'));
    await Promise.allSettled(this.#running);
    await this.#workspace.close();
  }

  /** Where files wait that a run has made. */
  handOver(): Promise<string> {
    return this.#workspace.handOver();
  }

  /**
   * Runs `go mod download -json` for one module version; what it says goes through `use` while its files are there. Throws
   * LarderError.
   */
  download<T>(query: string, use: (said: Record<string, unknown>) => Promise<T>): Promise<T> {
    return this.#counted(this.#downloads, this.#closing.signal, async (place, signal) => {
      const ended = await this.#go(place, ['mod', 'download', '-json', query], signal);
      const said = parse(ended);
      if (said === undefined) throw await this.#explain(query, ended.stderr, place, signal);
      const { Error: error } = said;
      if (typeof error === 'string') throw await this.#explain(query, error, place, signal);
      return use(said);
    });
  }

  /** Runs `go list -m -json`. Throws LarderError. */
  list(
    args: readonly string[],
    query: string,
    signal: AbortSignal,
  ): Promise<Record<string, unknown>> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    return this.#counted(this.#questions, either, async (place, own) => {
      const ended = await this.#go(place, ['list', '-m', '-json', ...args, query], own);
      const said = ended.code === 0 ? parse(ended) : undefined;
      return said ?? Promise.reject(await this.#explain(query, ended.stderr, place, own));
    });
  }

  async #counted<T>(
    slots: Slots,
    signal: AbortSignal,
    use: (place: Workplace, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const leave = await slots.take();
    const { timeoutMs } = this.#settings;
    const work = withDeadline(
      timeoutMs,
      () => late(timeoutMs),
      signal,
      (own) => this.#placed(own, use),
    ).finally(() => {
      this.#running.delete(work);
      leave();
    });
    this.#running.add(work);
    return work;
  }

  async #placed<T>(
    signal: AbortSignal,
    use: (place: Workplace, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const place = await this.#workspace.enter().catch((cause: unknown) => {
      throw new LarderError('store_failed', 'the folder of the go command cannot be written', {
        cause,
      });
    });
    try {
      return await use(place, signal);
    } finally {
      place.leave(signal.aborted);
    }
  }

  #go({ home, cwd }: Workplace, args: readonly string[], signal: AbortSignal): Promise<Ended> {
    return run({ args: ['go', ...args], cwd, env: goEnvironment(this.#settings, home) }, signal);
  }

  /** Where go only says that no way led to a repository, git is asked why. */
  async #explain(
    query: string,
    said: string,
    { home, cwd }: Workplace,
    signal: AbortSignal,
  ): Promise<LarderError> {
    const [, root] = /^(.+?)\.git(?:[/@]|$)/.exec(query) ?? [];
    if (root === undefined || !saysTooLittle(said)) return complaint(said, home);
    const args = ['git', 'ls-remote', '-q', `https://${root}`] as const;
    const git = await run({ args, cwd, env: goEnvironment(this.#settings, home) }, signal);
    return complaint(git.code === 0 ? said : `${said.trim()}\n${git.stderr}`, home);
  }
}

const late = (ms: number): LarderError =>
  new LarderError(
    'upstream_timeout',
    `fetch timed out: the go command had no answer from version control in ${String(ms / 1000)} s (LARDER_VCS_TIMEOUT)`,
  );

function parse({ stdout }: Ended): Record<string, unknown> | undefined {
  try {
    const said: unknown = JSON.parse(stdout);
    return typeof said === 'object' && said !== null
      ? (said as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // its complaint is on standard error
  }
}
