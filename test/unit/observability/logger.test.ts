import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createLogger } from '../../../src/observability/logger.ts';
import type { Logger } from '../../../src/observability/logger.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'larder-log-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** What is in the file once as many lines as expected, or more, have reached it. */
async function written(
  level: Parameters<typeof createLogger>[0],
  log: (logger: Logger) => void,
  expected = 1,
): Promise<Record<string, unknown>[]> {
  const file = join(folder, 'log');
  const logger = createLogger(level, file);
  log(logger);
  await new Promise((resolve) => {
    logger.flush(resolve);
  });
  const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1);
  await expect.poll(() => lines().length, { timeout: 10_000 }).toBeGreaterThanOrEqual(expected);
  return lines().map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a line is JSON with its level in words and its time in RFC 3339', async () => {
  const lines = await written('info', (logger) => {
    logger.warn({ a: 1 }, 'careful');
  });
  expect(lines).toEqual([
    {
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      a: 1,
      msg: 'careful',
    },
  ]);
});

test('lines below the level are not written, with silent none', async () => {
  const all = (logger: Logger) => {
    logger.debug('d');
    logger.info('i');
    logger.error('e');
  };
  expect((await written('info', all, 2)).map(({ msg }) => msg)).toEqual(['i', 'e']);
  rmSync(join(folder, 'log'));
  expect(await written('silent', all, 0)).toEqual([]);
});

test('lines come in their order, however many', async () => {
  const lines = await written(
    'info',
    (logger) => {
      for (let n = 0; n < 5000; n++) logger.info({ n }, 'x'.repeat(50));
    },
    5000,
  );
  expect(lines.map(({ n }) => n)).toEqual(Array.from({ length: 5000 }, (_, n) => n));
});

test('what is more than memory should hold is dropped, and counted', async () => {
  const mebibyte = 'x'.repeat(1024 * 1024);
  const lines = await written('info', (logger) => {
    for (let n = 0; n < 40; n++) logger.info(mebibyte);
  });
  await expect.poll(() => readFileSync(join(folder, 'log'), 'utf8')).toMatch(/were dropped/);
  const kept = readFileSync(join(folder, 'log'), 'utf8').split('\n').slice(0, -1);
  const { lines: dropped } = JSON.parse(kept.at(-1) ?? '') as { lines: number };
  expect(lines.length).toBeGreaterThan(0);
  expect(kept.length - 1 + dropped).toBe(40);
});

describe('no secret is written', () => {
  const secret = 'hunter2hunter2';
  test.each([
    [
      'an URL in a message',
      (l: Logger) => {
        l.info(`asking https://me:${secret}@proxy.test/x`);
      },
    ],
    [
      'an URL in a member',
      (l: Logger) => {
        l.info({ a: { url: `http://${secret}@proxy.test/x` } });
      },
    ],
    [
      'an error',
      (l: Logger) => {
        l.error({ err: new Error(`get https://u:${secret}@h.test failed`) });
      },
    ],
    [
      'the cause of an error',
      (l: Logger) => {
        l.error({ err: new Error('no', { cause: new Error(`http://a:${secret}@b.test`) }) });
      },
    ],
    [
      'a header',
      (l: Logger) => {
        l.info({ headers: { authorization: `Digest ${secret}` } });
      },
    ],
    [
      'a header with quotes',
      (l: Logger) => {
        l.info({ Authorization: `Digest a="${secret}"` });
      },
    ],
    [
      'headers as a list',
      (l: Logger) => {
        l.info({ authorization: ['x', `Basic ${secret}`] });
      },
    ],
    [
      'a proxy header',
      (l: Logger) => {
        l.info({ 'Proxy-Authorization': `x ${secret}` });
      },
    ],
    [
      'a token in a sentence',
      (l: Logger) => {
        l.info(`sent Bearer ${secret} and got 401`);
      },
    ],
    [
      'a child logger',
      (l: Logger) => {
        l.child({ from: `https://x:${secret}@h.test` }).info('hi');
      },
    ],
  ])('%s', async (_, log) => {
    const lines = await written('info', (logger) => {
      log(logger);
    });
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).toContain('***');
    expect(JSON.stringify(lines)).not.toContain(secret);
  });

  test.each([
    ['mail to ops@corp.test about http://proxy.test/x'],
    ['https://proxy.test/m/@v/list'],
    ['a basic rule'],
  ])('and nothing else is taken away: %s', async (text) => {
    const [line] = await written('info', (logger) => {
      logger.info(text);
    });
    expect(line?.['msg']).toBe(text);
  });
});
