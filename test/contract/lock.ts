// What every lock promises, run against each of them.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Lease, Lock } from '../../src/engine/ports.ts';

const never = new AbortController().signal;
const left = new Error('the waiter left');

/** `make` gives holders that share one lock service, as so many processes do. */
export function lockContract(name: string, make: () => Promise<readonly [Lock, Lock]>): void {
  describe(`lock: ${name}`, () => {
    it('gives a free key at once, without a wait', async () => {
      const [one] = await make();
      const lease = await one.acquire('k', never);
      expect(lease.waited).toBe(false);
      expect(lease.lost.aborted).toBe(false);
      await lease.release();
    });

    it('has one holder a key, who keeps nobody from another key', async () => {
      const [one, two] = await make();
      const lease = await one.acquire('k', never);
      let entered = false;
      const next = two.acquire('k', never).then((got) => {
        entered = true;
        return got;
      });
      await (await two.acquire('other', never)).release();
      await sleep(20);
      expect(entered).toBe(false);
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
        const lease = await lock.acquire('k', never);
        most = Math.max(most, ++inside);
        await sleep(1);
        inside--;
        await lease.release();
      };
      await Promise.all(Array.from({ length: 20 }, (_, i) => pass(locks[i % 2 === 0 ? 0 : 1])));
      expect(most).toBe(1);
      expect(inside).toBe(0);
    });

    it('lets a waiter go who is aborted, with its reason, and whoever waits behind comes on', async () => {
      const [one, two] = await make();
      const lease = await one.acquire('k', never);
      const waiter = new AbortController();
      const gone = Promise.allSettled([two.acquire('k', waiter.signal)]);
      const behind = two.acquire('k', never);
      waiter.abort(left);
      expect(await gone).toEqual([{ status: 'rejected', reason: left }]);
      let entered = false;
      void behind.then(() => {
        entered = true;
      });
      await sleep(20);
      expect(entered).toBe(false);
      await lease.release();
      await (await behind).release();
    });

    it('gives nothing to who is aborted already', async () => {
      const [one] = await make();
      await expect(one.acquire('k', AbortSignal.abort(left))).rejects.toBe(left);
      await (await one.acquire('k', never)).release();
    });

    it('an abort after the lease is given changes nothing', async () => {
      const [one, two] = await make();
      const holder = new AbortController();
      const lease = await one.acquire('k', holder.signal);
      holder.abort(left);
      const next = Promise.race([two.acquire('k', never), sleep(20, 'waits')]);
      expect(await next).toBe('waits');
      expect(lease.lost.aborted).toBe(false);
      await lease.release();
    });

    it('a release never rejects, and the second one takes nothing from the next holder', async () => {
      const [one, two] = await make();
      const first = await one.acquire('k', never);
      await first.release();
      const second = await two.acquire('k', never);
      await expect(first.release()).resolves.toBeUndefined();
      const third: Promise<Lease> = one.acquire('k', never);
      expect(await Promise.race([third, sleep(20, 'waits')])).toBe('waits');
      await second.release();
      await (await third).release();
    });
  });
}
