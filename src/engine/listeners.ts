import type { Listener } from './ports.ts';

const events = [
  'fillEnded',
  'stored',
  'added',
  'removed',
  'evicted',
  'storeFailed',
  'staleServed',
  'upstreamAnswered',
  'upstreamHeld',
  'upstreamLimit',
  'upstreamDown',
  'lockService',
  'unverified',
] as const;

/** One listener that tells several. One that throws is reported and disturbs no other, nor who told it. */
export function fanOut(
  listeners: readonly Listener[],
  onError: (error: unknown) => void,
): Required<Listener> {
  const tell = (name: (typeof events)[number]) => (event: never) => {
    for (const listener of listeners) {
      try {
        (listener[name] as ((event: never) => void) | undefined)?.(event);
      } catch (error) {
        onError(error);
      }
    }
  };
  return Object.fromEntries(
    events.map((name) => [name, tell(name)]),
  ) as unknown as Required<Listener>;
}
