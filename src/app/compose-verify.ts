// The verifier's part of the composition.

import { systemClock } from '../engine/ports.ts';
import { goVerifiable, type GoVerifyParts } from '../go/verify.ts';
import { ociVerifiable } from '../oci/verify.ts';
import { Verifier, type VerifierParts } from '../references/verify.ts';

/** `store`: without anything near. */
export function composeVerifier(
  parts: GoVerifyParts & Pick<VerifierParts, 'lock' | 'announcements'>,
): Verifier {
  const { store, lock, announcements } = parts;
  const rooms = [goVerifiable(parts), ociVerifiable(store)];
  return new Verifier({ store, lock, announcements, rooms, clock: systemClock });
}
