import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { Jobs, type Job, type Work } from '../../../src/references/jobs.ts';
import { Gate } from '../../support/faults.ts';
import { eventually } from '../../support/tmp.ts';

const mistakes: unknown[] = [];
const made = () => new Jobs((error) => mistakes.push(error));
const never = new AbortController().signal;

/** Work that waits at a gate, or ends by its signal. */
const held =
  (gate: Gate): Work<unknown> =>
  async (signal) => {
    await gate.pass(signal);
    return 'done';
  };

const ended = (jobs: Jobs, id: string): Promise<Job> =>
  eventually('the job has ended', () => {
    const job = jobs.get(id);
    return job !== undefined && job.state !== 'running' && job;
  });

test('a job tells how far it is, and what it brought', async () => {
  const jobs = made();
  const gate = new Gate();
  const told: Job[] = [];
  const { id } = jobs.start(
    'sweep',
    async (signal, progress) => {
      progress({ done: 1, total: 2 });
      await gate.pass(signal);
      return { count: 7 };
    },
    (job) => told.push(job),
  );
  await gate.reached;
  expect(jobs.get(id)).toEqual({
    id,
    kind: 'sweep',
    state: 'running',
    progress: { done: 1, total: 2 },
    result: null,
  });
  gate.open();
  const job = await ended(jobs, id);
  expect(job).toMatchObject({ state: 'done', result: { count: 7 } });
  expect(told).toEqual([job]);
});

test('one of a kind runs at a time; another kind runs beside it', async () => {
  const jobs = made();
  const gates = [new Gate(), new Gate(), new Gate()] as const;
  const first = jobs.start('sweep', held(gates[0]));
  const second = jobs.start('sweep', held(gates[1]));
  const other = jobs.start('check', held(gates[2]));
  await gates[0].reached;
  gates[2].open();
  await ended(jobs, other.id);
  expect(jobs.list().map(({ id, state }) => [id, state])).toEqual([
    [other.id, 'done'],
    [second.id, 'running'],
    [first.id, 'running'],
  ]);
  gates[1].open();
  expect(jobs.get(second.id)?.state).toBe('running');
  gates[0].open();
  await ended(jobs, second.id);
});

test('too many of a kind are refused', () => {
  const jobs = made();
  for (let number = 0; number < 16; number++) jobs.start('sweep', held(new Gate()));
  expect(() => jobs.start('sweep', held(new Gate()))).toThrow(LarderError);
  jobs.start('check', held(new Gate()));
});

describe('a job that ends otherwise', () => {
  test('is cancelled: while it runs, and before its turn', async () => {
    const jobs = made();
    const gate = new Gate();
    const running = jobs.start('sweep', held(gate));
    let ran = false;
    const waiting = jobs.start('sweep', () => {
      ran = true;
      return Promise.resolve();
    });
    await gate.reached;
    expect(jobs.cancel(waiting.id)).toBe(true);
    // at once, and whoever comes next waits all the same
    expect((await ended(jobs, waiting.id)).state).toBe('cancelled');
    const next = jobs.start('sweep', () => Promise.resolve(jobs.get(running.id)?.state));
    expect(jobs.get(running.id)?.state).toBe('running');
    expect(jobs.cancel(running.id)).toBe(true);
    expect((await ended(jobs, running.id)).state).toBe('cancelled');
    expect(await ended(jobs, next.id)).toMatchObject({ state: 'done', result: 'cancelled' });
    expect(ran).toBe(false);
    expect([jobs.cancel(running.id), jobs.cancel('none')]).toEqual([false, false]);
  });

  test('fails with its sentence; a mistake with another, and is reported', async () => {
    const jobs = made();
    const down = jobs.start('sweep', () =>
      Promise.reject(new LarderError('store_failed', 'the store is down')),
    );
    const broken = jobs.start('sweep', () => Promise.reject(new TypeError('x is undefined')));
    expect(await ended(jobs, down.id)).toMatchObject({
      state: 'failed',
      error: 'the store is down',
      result: null,
    });
    const { state, error } = await ended(jobs, broken.id);
    expect([state, error]).toEqual(['failed', expect.not.stringContaining('undefined')]);
    expect(mistakes).toEqual([expect.any(TypeError)]);
  });
});

test('closing cancels all, and waits for them', async () => {
  const jobs = made();
  const gate = new Gate();
  let isOver = false;
  const { id } = jobs.start('sweep', async (signal) => {
    await gate.pass(never);
    isOver = true;
    signal.throwIfAborted();
  });
  await gate.reached;
  const closing = jobs.close();
  gate.open();
  await closing;
  expect([isOver, jobs.get(id)?.state]).toEqual([true, 'cancelled']);
  expect(() => jobs.start('sweep', held(gate))).toThrow(LarderError);
});

test('a hundred that ended are remembered', async () => {
  const jobs = made();
  const ids: string[] = [];
  for (let number = 0; number < 120; number++) {
    const { id } = jobs.start('sweep', () => Promise.resolve(number));
    ids.push(id);
    await ended(jobs, id);
  }
  expect(jobs.list()).toHaveLength(100);
  expect([jobs.get(ids[19] ?? ''), jobs.get(ids[20] ?? '')?.result]).toEqual([undefined, 20]);
});
