import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ErrorCode } from '../../../src/engine/errors.ts';
import {
  judge,
  mayServeStale,
  usableOnError,
  type AnswerAge,
  type Verdict,
} from '../../../src/engine/freshness.ts';

const minute = 60_000;
const of = { ttlMs: minute, staleWhileRevalidateMs: minute, staleIfErrorMs: 10 * minute };
const none = { ttlMs: 0, staleWhileRevalidateMs: 0, staleIfErrorMs: 10 * minute };

const table: readonly [string, AnswerAge, number, typeof of, Verdict][] = [
  ['new', { confirmedAt: 0 }, 0, of, 'fresh'],
  ['just within its TTL', { confirmedAt: 0 }, minute - 1, of, 'fresh'],
  ['past its TTL', { confirmedAt: 0 }, minute, of, 'refresh'],
  ['past both', { confirmedAt: 0 }, 2 * minute, of, 'expired'],
  ['expired before its time', { confirmedAt: 0, expired: true }, 1, of, 'expired'],
  ['failed just now', { confirmedAt: 0, failedAt: minute }, minute + 1, of, 'failing'],
  ['failed a TTL ago', { confirmedAt: 0, failedAt: minute }, 2 * minute, of, 'expired'],
  ['expired and failed', { confirmedAt: 0, failedAt: 1, expired: true }, 2, of, 'failing'],
  [
    'failed just now, but too old to be bridged',
    { confirmedAt: 0, failedAt: 12 * minute },
    12 * minute,
    of,
    'expired',
  ],
  ['without a TTL', { confirmedAt: 0 }, 0, none, 'expired'],
  ['without a TTL, failed just now', { confirmedAt: 0, failedAt: 0 }, 999, none, 'failing'],
  ['without a TTL, failed a second ago', { confirmedAt: 0, failedAt: 0 }, 1000, none, 'expired'],
  ['of a clock that was set back', { confirmedAt: 3 * minute }, 0, of, 'expired'],
];

test.each(table)('an answer %s', (_, age, now, freshness, verdict) => {
  expect(judge(age, freshness, now)).toBe(verdict);
});

const staleByCause: readonly [ErrorCode, boolean][] = [
  ['upstream_failed', true],
  ['upstream_timeout', true],
  ['rate_limited', true],
  ['overloaded', true],
  ['bad_content', true],
  ['not_found', false],
  ['not_cached', false],
  ['denied', false],
  ['upstream_unauthorized', false],
  ['upstream_forbidden', false],
  ['checksum_mismatch', false],
  ['store_failed', false],
  ['invalid', false],
  ['unsupported', false],
];

test.each(staleByCause)('whether %s may be bridged: %s', (code, may) => {
  expect(mayServeStale(code)).toBe(may);
});

test('no answer is for ever, and none is bridged beyond TTL and stale-if-error together', () => {
  const ms = fc.integer({ min: 0, max: 10 ** 9 });
  fc.assert(
    fc.property(
      fc.record({ confirmedAt: ms, failedAt: ms, expired: fc.boolean() }),
      fc.record({ ttlMs: ms, staleWhileRevalidateMs: ms, staleIfErrorMs: ms }),
      ms,
      (age, freshness, now) => {
        const verdict = judge(age, freshness, now);
        const since = Math.abs(now - age.confirmedAt);
        if (verdict === 'fresh') expect(since).toBeLessThan(freshness.ttlMs);
        if (verdict === 'failing') expect(usableOnError(age, freshness, now)).toBe(true);
        if (age.expired) expect(['failing', 'expired']).toContain(verdict);
      },
    ),
  );
});
