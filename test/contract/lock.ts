// What every lock promises, run against each of them.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Lease, Lock, Outcome } from '../../src/engine/ports.ts';
import { expectLease } from '../support/leases.ts';

const never = new AbortController().signal;
const left = new Error('the waiter left');
const stored: Outcome = { kind: 'stored' };
const failed: Outcome = { kind: 'failed', code: 'upstream_failed', message: 'no', retryAfterMs: 5 };

const take = async (lock: Lock, key = 'k', scope = key): Promise<Lease> =>
  expectLease(await lock.acquire({ key, scope, signal: never }));

/** Whether it comes while others do what they do in a moment. */
async function comes(turn: Promise<unknown>): Promise<boolean> {
  return Promise.race([turn.then(() => true), sleep(20, false)]);
}

/** `make` gives holders that share one lock service, as so many processes do. */
export function lockContract(name: string, make: () => Promise<readonly [Lock, Lock]>): void {
  describe(`lock: ${name}`, () => {
    it('gives a free key at once, without a wait', async () => {
      const [one] = await make();
      const lease = await take(one);
      expect(lease.waited).toBe(false);
      expect(lease.lost.aborted).toBe(false);
      await lease.release();
    });

    it('has one holder a key, who keeps nobody from another key', async () => {
      const [one, two] = await make();
      const lease = await take(one);
      const next = take(two);
      await (await take(two, 'other')).release();
      expect(await comes(next)).toBe(false);
      await lease.release();
      const second = await next;
      expect(second.waited).toBe(true);
      await second.release();
    });

    it('lets everybody through, one at a time', async () => {
      const locks = await make();
      let inside = 0;
      let most = 0;
      const pass = async (lock: Lock) => {
        const lease = await take(lock);
        most = Math.max(most, ++inside);
        await sleep(1);
        inside--;
        await lease.release();
      };
      await Promise.all(Array.from({ length: 20 }, (_, i) => pass(locks[i % 2 === 0 ? 0 : 1])));
      expect(most).toBe(1);
      expect(inside).toBe(0);
    });

    it.each([['stored', stored] as const, ['failed', failed] as const])(
      'tells all who wait that it is %s, here and elsewhere',
      async (_, outcome) => {
        const [one, two] = await make();
        const lease = await take(one);
        const waiting = [one, two, two].map((lock) =>
          lock.acquire({ key: 'k', scope: 'k', signal: never }),
        );
        expect(await comes(Promise.race(waiting))).toBe(false);
        await lease.release(outcome);
        expect(await Promise.all(waiting)).toEqual([outcome, outcome, outcome]);
        const next = await take(one, 'other');
        await next.release();
      },
    );

    it('tells a failure to those of its scope, while others take their turn', async () => {
      const [one, two] = await make();
      const lease = await take(one, 'k', 'mine');
      const other = two.acquire({ key: 'k', scope: 'theirs', signal: never });
      expect(await comes(other)).toBe(false);
      await lease.release(failed);
      await expectLease(await other).release(stored);
    });

    it('without an outcome the next one tries for itself', async () => {
      const [one, two] = await make();
      const lease = await take(one);
      const next = two.acquire({ key: 'k', scope: 'k', signal: never });
      expect(await comes(next)).toBe(false);
      await lease.release();
      await expectLease(await next).release();
    });

    it('lets a waiter go who is aborted, with its reason, and whoever waits behind comes on', async () => {
      const [one, two] = await make();
      const lease = await take(one);
      const waiter = new AbortController();
      const gone = Promise.allSettled([
        two.acquire({ key: 'k', scope: 'k', signal: waiter.signal }),
      ]);
      const behind = take(two);
      waiter.abort(left);
      expect(await gone).toEqual([{ status: 'rejected', reason: left }]);
      expect(await comes(behind)).toBe(false);
      await lease.release();
      await (await behind).release();
    });

    it('gives nothing to who is aborted already', async () => {
      const [one] = await make();
      await expect(
        one.acquire({ key: 'k', scope: 'k', signal: AbortSignal.abort(left) }),
      ).rejects.toBe(left);
      await (await take(one)).release();
    });

    it('an abort after the lease is given changes nothing', async () => {
      const [one, two] = await make();
      const holder = new AbortController();
      const lease = expectLease(await one.acquire({ key: 'k', scope: 'k', signal: holder.signal }));
      holder.abort(left);
      const next = take(two);
      expect(await comes(next)).toBe(false);
      expect(lease.lost.aborted).toBe(false);
      await lease.release();
      await (await next).release();
    });

    it('a release never rejects, and the second one takes nothing from the next holder', async () => {
      const [one, two] = await make();
      const first = await take(one);
      await first.release();
      const second = await take(two);
      await expect(first.release()).resolves.toBeUndefined();
      const third = take(one);
      expect(await comes(third)).toBe(false);
      await second.release();
      await (await third).release();
    });
  });
}
