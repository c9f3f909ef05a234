/** How far work on a stream of items may spread. */
export interface Spread {
  /** Runs at once. */
  readonly parallel: number;
  /** Items that have begun, and of which the result waits for an earlier one: what is held in memory. At least `parallel`. */
  readonly ahead: number;
  readonly signal: AbortSignal;
}

/**
 * Runs for each item, and yields the results in the items' order, each as soon as it and those before it are there, whether
 * more items come or not. A run that rejects ends all. When the signal aborts, no more items are taken, runs must end soon, and
 * results that are there are still yielded before the signal's reason is thrown.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  { parallel, ahead, signal }: Spread,
  run: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = [];
  const room = new Bell();
  const news = new Bell();
  let running = 0;
  let stopped = false;
  let taken: { error?: unknown } | undefined;

  const start = (item: T) => {
    running++;
    const result = run(item).finally(() => {
      running--;
      room.ring();
    });
    // looked at when its turn comes
    result.catch(() => undefined);
    begun.push(result);
    news.ring();
  };
  const takeAll = async () => {
    for await (const item of items) {
      while (!stopped && (running >= parallel || begun.length >= ahead)) await room.rung();
      if (stopped) return;
      start(item);
    }
  };
  const ended = (end: { error?: unknown }) => {
    taken ??= end;
    news.ring();
  };
  const aborted = () => {
    stopped = true;
    room.ring();
    // an input that stays silent must not hold up the end
    ended({});
  };
  takeAll().then(
    () => {
      ended({});
    },
    (error: unknown) => {
      ended({ error });
    },
  );
  signal.addEventListener('abort', aborted, { once: true });
  if (signal.aborted) aborted();
  try {
    for (;;) {
      const [first] = begun;
      if (first !== undefined) {
        const [end] = await Promise.allSettled([first]);
        void begun.shift();
        room.ring();
        if (end.status === 'fulfilled') yield end.value;
        else if (!signal.aborted) throw end.reason;
      } else if (taken) break;
      else await news.rung();
    }
    signal.throwIfAborted();
    if ('error' in taken) throw taken.error;
  } finally {
    stopped = true;
    room.ring();
    signal.removeEventListener('abort', aborted);
  }
}

/** Wakes whoever waits at that moment. */
class Bell {
  #waiting = Promise.withResolvers<undefined>();

  rung(): Promise<undefined> {
    return this.#waiting.promise;
  }

  ring(): void {
    this.#waiting.resolve(undefined);
    this.#waiting = Promise.withResolvers<undefined>();
  }
}
