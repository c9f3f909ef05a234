import { setImmediate as immediate } from 'node:timers/promises';
import type { Lease, Lock } from '../engine/ports.ts';

/** Waits its turn, whatever those before told. Throws the signal's reason when it aborts. */
export async function leaseOf(
  lock: Lock,
  { key, scope }: { key: string; scope: string },
  signal: AbortSignal,
): Promise<Lease> {
  for (;;) {
    const turn = await lock.acquire({ key, scope, signal });
    if (!('kind' in turn)) return turn;
    // an outcome is for those who want what the key stands for, and is passed on to all of them first
    await immediate();
  }
}

/** Undefined where its holder does not give it back in time. Throws what the lock service throws. */
export async function leaseWithin(
  lock: Lock,
  { key, scope, waitMs }: { key: string; scope: string; waitMs: number },
): Promise<Lease | undefined> {
  const waiting = new AbortController();
  const timer = setTimeout(() => {
    waiting.abort(new Error('the lease was waited for too long'));
  }, waitMs);
  const { signal } = waiting;
  try {
    return await leaseOf(lock, { key, scope }, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
