// The go command with a log: what was run, and in which environment.

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from './tmp.ts';

export interface CountedGo {
  /** PATH in which go is this one. */
  readonly path: string;
  /** Arguments of each run so far, `go env` and the like of a start apart. */
  runs(): string[];
  /** Environment of the last run. */
  environment(): Record<string, string>;
}

export function countedGo(): CountedGo {
  const dir = tempDir();
  const [log, last] = [join(dir, 'log'), join(dir, 'environment')];
  const outer = process.env['PATH'] ?? '';
  writeFileSync(
    join(dir, 'go'),
    `#!/bin/sh\necho "$@" >>${log}\nenv >${last}\nPATH='${outer}' exec go "$@"\n`,
  );
  chmodSync(join(dir, 'go'), 0o755);
  return {
    path: `${dir}:${outer}`,
    runs: () =>
      (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []).filter((run) =>
        /^(mod|list) /.test(run),
      ),
    environment: () =>
      Object.fromEntries(
        readFileSync(last, 'utf8')
          .split('\n')
          .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
      ),
  };
}
