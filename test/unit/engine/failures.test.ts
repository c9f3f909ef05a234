import { expect, test } from 'vitest';
import { LarderError, type ErrorCode } from '../../../src/engine/errors.ts';
import { Failures } from '../../../src/engine/failures.ts';
import { failure, ManualClock } from '../../support/engine.ts';

function start(negativeTtlMs = 30_000) {
  const clock = new ManualClock();
  return { clock, failures: new Failures(clock, negativeTtlMs) };
}

const lasting: readonly [ErrorCode, number][] = [
  ['upstream_failed', 1000],
  ['upstream_timeout', 1000],
  ['rate_limited', 1000],
  ['upstream_forbidden', 1000],
  ['bad_content', 1000],
  ['checksum_mismatch', 1000],
  ['store_failed', 1000],
  ['not_found', 30_000],
];

test.each(lasting)('%s is told again for %i ms, no longer', (code, ms) => {
  const { clock, failures } = start();
  failures.remember('k', failure(code));
  clock.advance(ms - 1);
  expect(failures.get('k')).toMatchObject({ code, message: `a ${code} of the test` });
  expect(() => {
    failures.check('k');
  }).toThrow(`a ${code} of the test`);
  expect(failures.get('other')).toBeUndefined();
  clock.advance(1);
  expect(failures.get('k')).toBeUndefined();
  failures.check('k');
});

test.each([
  [30_000, 1000],
  [500, 500],
  [0, 0],
])(
  'with a negative time of %i ms, what another one found not to be there is so for %i ms',
  (negativeTtlMs, ms) => {
    const { clock, failures } = start(negativeTtlMs);
    failures.remember('k', new LarderError('not_found', 'not there', { told: true }));
    clock.advance(ms - 1);
    expect(failures.get('k')?.code).toBe(ms === 0 ? undefined : 'not_found');
    clock.advance(1);
    expect(failures.get('k')).toBeUndefined();
  },
);

test('what is not there is negative from the second time on', () => {
  const { failures } = start();
  const first = failure('not_found');
  failures.remember('k', first);
  expect(first.outcome).toBe('miss');
  expect(failures.get('k')?.outcome).toBe('negative');
});

test.each([failure('overloaded'), new Error('a mistake'), 'a string'])(
  'nothing is remembered of %s',
  (error) => {
    const { failures } = start();
    failures.remember('k', error);
    expect(failures.get('k')).toBeUndefined();
  },
);

test('a negative TTL of 0 is off, and touches no other failure', () => {
  const { failures } = start(0);
  failures.remember('k', failure('not_found'));
  expect(failures.get('k')).toBeUndefined();
  failures.remember('k', failure('upstream_failed'));
  expect(failures.get('k')?.code).toBe('upstream_failed');
});

test('the newest failure counts, and the oldest of very many is forgotten', () => {
  const { failures } = start();
  failures.remember('k', failure('upstream_failed'));
  failures.remember('k', failure('not_found'));
  expect(failures.get('k')?.code).toBe('not_found');
  for (let i = 0; i < 20_000; i++) failures.remember(`other ${String(i)}`, failure('not_found'));
  expect(failures.get('k')).toBeUndefined();
  expect(failures.get('other 0')?.code).toBe('not_found');
});

test('what is purged is forgotten, and nothing else', () => {
  const { failures } = start();
  for (const key of ['a/x', 'a/y', 'b']) failures.remember(key, failure('not_found'));
  failures.forgetAll((key) => key.startsWith('a/'));
  expect(['a/x', 'a/y', 'b'].map((key) => failures.get(key)?.code)).toEqual([
    undefined,
    undefined,
    'not_found',
  ]);
});
