import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inOrder } from '../../../src/cli/in-order.ts';

const never = new AbortController().signal;

async function* from<T>(items: readonly T[]) {
  for (const item of items) yield await Promise.resolve(item);
}

/** Items that come when the test says so. */
function slowInput() {
  const { readable, writable } = new TransformStream<number, number>();
  const writer = writable.getWriter();
  return { items: readable, push: (item: number) => writer.write(item), end: () => writer.close() };
}

test('results come in the order of the items, so many at once, so many ahead, whatever each takes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(7), { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 5 }),
      async (turns, parallel, more) => {
        let running = 0;
        let most = 0;
        let begun = 0;
        let farthest = 0;
        const results: number[] = [];
        const ahead = parallel + more;
        const run = async (at: number) => {
          begun++;
          farthest = Math.max(farthest, begun - results.length);
          most = Math.max(most, ++running);
          for (let turn = turns[at] ?? 0; turn > 0; turn--) await Promise.resolve();
          running--;
          return at;
        };
        const spread = { parallel, ahead, signal: never };
        for await (const result of inOrder(from(turns.map((_, at) => at)), spread, run))
          results.push(result);
        expect(results).toEqual(turns.map((_, at) => at));
        expect(most).toBeLessThanOrEqual(parallel);
        // one is in the hands of whoever reads
        expect(farthest).toBeLessThanOrEqual(ahead + 1);
      },
    ),
  );
});

test('a result is there before the next item comes', async () => {
  const { items, push, end } = slowInput();
  const spread = { parallel: 2, ahead: 4, signal: never };
  const results = inOrder(items, spread, (item) => Promise.resolve(item * 2));
  for (const item of [1, 2]) {
    const next = results.next();
    await push(item);
    expect(await next).toEqual({ done: false, value: item * 2 });
  }
  const last = results.next();
  await end();
  expect(await last).toMatchObject({ done: true });
});

test('stopped: what was done is said, then the reason thrown, though the input stays open', async () => {
  const { items, push } = slowInput();
  const stopping = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    stopping.signal.addEventListener('abort', () => {
      reject(stopping.signal.reason as Error);
    });
  });
  const run = (item: number) => (item === 2 ? stopped : Promise.resolve(item));
  const spread = { parallel: 4, ahead: 4, signal: stopping.signal };
  const results = inOrder(items, spread, run);
  const first = results.next();
  for (const item of [1, 2, 3]) await push(item);
  expect(await first).toEqual({ done: false, value: 1 });
  const next = results.next();
  stopping.abort(new Error('by SIGINT'));
  expect(await next).toEqual({ done: false, value: 3 });
  await expect(results.next()).rejects.toThrow('by SIGINT');
});

test('an input that fails ends all, after the results of what it gave', async () => {
  const broken = async function* () {
    yield await Promise.resolve(1);
    throw new Error('the input broke');
  };
  const spread = { parallel: 2, ahead: 2, signal: never };
  const results = inOrder(broken(), spread, (item) => Promise.resolve(item));
  expect(await results.next()).toEqual({ done: false, value: 1 });
  await expect(results.next()).rejects.toThrow('the input broke');
});

test('a run that rejects ends all, and nothing more begins', async () => {
  const begun: number[] = [];
  const run = (item: number) => {
    begun.push(item);
    return item === 2 ? Promise.reject(new Error('a mistake')) : Promise.resolve(item);
  };
  const results = inOrder(from([1, 2, 3, 4, 5]), { parallel: 1, ahead: 1, signal: never }, run);
  expect(await results.next()).toEqual({ done: false, value: 1 });
  await expect(results.next()).rejects.toThrow('a mistake');
  expect(begun.length).toBeLessThanOrEqual(3);
});
