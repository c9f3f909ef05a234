import { describe, expect, test } from 'vitest';
import { LarderError, type ErrorCode } from '../../../src/engine/errors.ts';
import { failedWith, leaseUnless } from '../../../src/engine/outcomes.ts';
import type { Lease, Lock, Outcome } from '../../../src/engine/ports.ts';

const never = new AbortController().signal;
const about = { key: 'k', scope: 's', signal: never };

/** A lock that gives these, one after another, and notes what it is given back. */
function turns(...given: (Outcome | { waited: boolean })[]) {
  const released: (Outcome | undefined)[] = [];
  const lease = (waited: boolean): Lease => ({
    waited,
    lost: never,
    release: (outcome) => {
      released.push(outcome);
      return Promise.resolve();
    },
  });
  const lock: Lock = {
    acquire: () => {
      const next = given.shift();
      if (next === undefined) throw new Error('asked too often');
      return Promise.resolve('kind' in next ? next : lease(next.waited));
    },
  };
  return { lock, released };
}

const present = (...answers: boolean[]) => ({
  looks: 0,
  look() {
    return Promise.resolve(answers[this.looks++] ?? false);
  },
});

describe('a lease', () => {
  test('that was free is taken without a look', async () => {
    const { lock } = turns({ waited: false });
    const store = present(true);
    expect(await leaseUnless(() => store.look(), lock, about)).toBeDefined();
    expect(store.looks).toBe(0);
  });

  test('that was waited for is given on when the result is there, and kept when it is not', async () => {
    const there = turns({ waited: true });
    expect(await leaseUnless(() => present(true).look(), there.lock, about)).toBeUndefined();
    expect(there.released).toEqual([{ kind: 'stored' }]);
    const absent = turns({ waited: true });
    expect(await leaseUnless(() => present(false).look(), absent.lock, about)).toBeDefined();
    expect(absent.released).toEqual([]);
  });

  test('is asked for again when what was said to be stored is not there', async () => {
    const { lock } = turns({ kind: 'stored' }, { waited: true });
    expect(await leaseUnless(() => present(false, false).look(), lock, about)).toBeDefined();
  });

  test('is given back when the look fails', async () => {
    const { lock, released } = turns({ waited: true });
    const down = new LarderError('store_failed', 'down');
    await expect(leaseUnless(() => Promise.reject(down), lock, about)).rejects.toBe(down);
    expect(released).toEqual([undefined]);
  });

  test('fails as its holder failed', async () => {
    const error = new LarderError('rate_limited', 'too often', { retryAfterMs: 7 });
    const outcome = failedWith(error);
    const { lock } = turns(outcome ?? { waited: false });
    const failing = leaseUnless(() => present().look(), lock, about);
    await expect(failing).rejects.toMatchObject({
      code: 'rate_limited',
      message: 'too often',
      retryAfterMs: 7,
    });
  });
});

test.each<[ErrorCode, boolean]>([
  ['not_found', true],
  ['upstream_timeout', true],
  ['checksum_mismatch', true],
  ['overloaded', false],
  ['store_failed', false],
])('%s is told to others: %s', (code, told) => {
  expect(failedWith(new LarderError(code, 'x')) !== undefined).toBe(told);
});

test('a mistake is told to nobody', () => {
  expect(failedWith(new TypeError('x'))).toBeUndefined();
});
