// What a proxy uses while it works, and what its upstream is asked meanwhile.

import { count, fixed, mebibytes, median } from './figures.ts';
import { settled, usageOf, watchPeak, type Server } from './processes.ts';
import { counted } from './servers.ts';

export interface Watched {
  /** What the proxy used, with what it did after the last answer; nothing where there is none. */
  readonly cpuSeconds?: number;
  readonly peakBytes?: number;
  readonly upstreamRequests: number;
  readonly upstreamBytes: number;
}

/** Watches while `work` runs, and resolves with what that gave as well. */
export async function watched<T extends object>(
  upstream: Server,
  proxy: Server | undefined,
  work: () => Promise<T>,
): Promise<T & Watched> {
  await counted(upstream);
  const before = proxy && usageOf(proxy.pid).cpuSeconds;
  const peak = proxy && watchPeak(proxy.pid);
  const result = await work();
  if (proxy) await settled(proxy.pid);
  const { requests, bytes } = await counted(upstream);
  return {
    ...result,
    ...(proxy && { cpuSeconds: usageOf(proxy.pid).cpuSeconds - (before ?? 0) }),
    ...(peak && { peakBytes: peak() }),
    upstreamRequests: requests,
    upstreamBytes: bytes,
  };
}

/** Cells of a table: CPU seconds, memory, requests upstream, and their bytes in units of `unit`. */
export function watchedCells(of: readonly Watched[], unit: number): string[] {
  const known = (
    values: readonly (number | undefined)[],
    show: (value: number) => string,
  ): string => {
    const numbers = values.filter((value) => value !== undefined);
    return numbers.length === 0 ? '' : show(median(numbers));
  };
  return [
    known(
      of.map(({ cpuSeconds }) => cpuSeconds),
      (value) => fixed(value, 1),
    ),
    known(
      of.map(({ peakBytes }) => peakBytes),
      mebibytes,
    ),
    count(median(of.map(({ upstreamRequests }) => upstreamRequests))),
    count(median(of.map(({ upstreamBytes }) => upstreamBytes)) / unit),
  ];
}
