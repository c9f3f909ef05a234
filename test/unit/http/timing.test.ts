import { expect, test, vi } from 'vitest';
import { systemTiming } from '../../../src/http/timing.ts';

test.each([2 ** 31 - 1, 2 ** 31, Infinity])('a timer of %d ms does not come at once', (ms) => {
  vi.useFakeTimers();
  try {
    let came = false;
    const callOff = systemTiming.after(ms, () => (came = true));
    vi.advanceTimersByTime(86_400_000);
    expect(came).toBe(false);
    callOff();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
