// The whole program within the process of the tests, for tests that ask it thousands of things or move its clock.

import { pino } from 'pino';
import { compose } from '../../src/app/compose.ts';
import { loadConfig } from '../../src/app/config.ts';
import { grammarChecks } from '../../src/app/grammar-checks.ts';
import type { Clock } from '../../src/engine/ports.ts';
import { atEnd, tempDir } from './tmp.ts';

/** Starts it on a port and a folder of its own; it ends with the test or file. */
export async function startApp(env: Readonly<Record<string, string>>, clock?: Clock) {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[0]) };
  const config = loadConfig(
    {
      LARDER_HOST: '127.0.0.1',
      LARDER_PORT: '0',
      LARDER_STORAGE_DIR: tempDir(),
      LARDER_GO_UPSTREAM: 'off',
      LARDER_GO_SUMDB: 'off',
      LARDER_DRAIN_TIMEOUT: '0s',
      ...env,
    },
    grammarChecks,
  );
  const app = await compose(config, pino({ base: null }, stream), clock);
  const { address: base } = await app.server.listen();
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= app.stop());
  atEnd(stop);
  return { base, lines, stop, reload: app.reload.bind(app), storageDir: config.storageDir };
}
