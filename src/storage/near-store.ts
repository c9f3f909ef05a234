import type { Store } from '../engine/ports.ts';

/** A store that keeps some of another one nearer: it does not know what others delete there, unless it is told. */
export interface NearStore extends Store {
  /** Has none of these near any more, nor what is being read of them. */
  forgetAll(matches: (key: string) => boolean): void;
}
