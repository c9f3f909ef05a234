import type { Lease, Outcome } from '../../src/engine/ports.ts';

/** The lease, where no outcome was told instead. */
export function expectLease(turn: Lease | Outcome): Lease {
  if ('kind' in turn) throw new Error(`a lease was expected, and ${turn.kind} was told`);
  return turn;
}
