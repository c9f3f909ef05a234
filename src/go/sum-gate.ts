// Whether the checksum database agrees with a download: asked side by side with the download itself.

import { LarderError, messageOf } from '../engine/errors.ts';
import type { Listener } from '../engine/ports.ts';
import type { GoFileName } from './names.ts';
import { keyOf } from './names.ts';
import { verifySums, type DownloadedSum } from './sumdb/check.ts';
import type { SumdbClient } from './sumdb/client.ts';

export interface SumGateParts {
  /** Undefined: off. */
  readonly database: SumdbClient | undefined;
  readonly policy: 'keep' | 'require';
  /** Names that are never looked up. */
  readonly exempt: (module: string, version: string) => boolean;
  readonly listener: Required<Listener>;
}

export class SumGate {
  readonly #parts: SumGateParts;

  constructor(parts: SumGateParts) {
    this.#parts = parts;
  }

  /**
   * Begins the look-up; the result compares a hash with it. That throws LarderError `checksum_mismatch`, and, when the
   * database has no say and the policy is `require`, `upstream_failed`.
   */
  begin(name: GoFileName, signal: AbortSignal): (sum: DownloadedSum) => Promise<void> {
    const { database, exempt, policy, listener } = this.#parts;
    const { module, version } = name;
    if (database === undefined || exempt(module, version)) return () => Promise.resolve();
    const lines = database.lookup(module, version, signal);
    lines.catch(() => undefined); // told when the download is compared
    return async (sum) => {
      let known: string[];
      try {
        known = await lines;
      } catch (error) {
        if (error instanceof LarderError && error.code === 'checksum_mismatch') throw error;
        const reason = messageOf(error);
        if (policy === 'require') {
          throw new LarderError(
            'upstream_failed',
            `the checksum database cannot verify ${module}@${version}: ${reason}`,
          );
        }
        listener.unverified({ key: keyOf(name), reason });
        return;
      }
      verifySums(known, module, version, sum);
    };
  }
}
