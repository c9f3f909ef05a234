import { createHash } from 'node:crypto';
import type { ContentRecord } from '../../src/engine/ports.ts';

/** What is kept beside these bytes. */
export const recordOf = (bytes: Uint8Array, extra: Record<string, string> = {}): ContentRecord => ({
  size: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  time: '2026-01-02T03:04:05.000Z',
  source: 'http://upstream.test',
  extra,
});
