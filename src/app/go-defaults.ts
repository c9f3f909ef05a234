import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';

/** What the installed go command uses when nobody has set anything. */
export interface GoDefaults {
  readonly goproxy: string;
  readonly gosumdb: string;
}

/** The checksum database of a go command that nobody has changed. */
export const usualSumdb = 'sum.golang.org';

const patienceMs = 20_000;

/** Undefined ones are not in the environment of the command at all. */
const untouched = {
  GOPROXY: undefined,
  GOSUMDB: undefined,
  GOFLAGS: undefined,
  GOENV: 'off',
  GOTOOLCHAIN: 'local',
  GOWORK: 'off',
} as const;

/**
 * Asks the go command on PATH for its built-in defaults: without the user's `go env -w` file, without GOPROXY and
 * GOSUMDB of the environment (which may well point at Larder itself), and away from any module or work space whose
 * go.mod could make it fetch another toolchain. Undefined when there is no go command or it does not answer.
 */
export function goDefaults(env: Readonly<NodeJS.ProcessEnv>): GoDefaults | undefined {
  const { status, stdout } = spawnSync('go', ['env', '-json', 'GOPROXY', 'GOSUMDB'], {
    env: { ...env, ...untouched },
    cwd: tmpdir(),
    encoding: 'utf8',
    timeout: patienceMs,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? parseGoEnv(stdout) : undefined;
}

function parseGoEnv(json: string): GoDefaults | undefined {
  let values: unknown;
  try {
    values = JSON.parse(json);
  } catch {
    return undefined; // something on PATH calls itself go and is not
  }
  if (typeof values !== 'object' || values === null) return undefined;
  const { GOPROXY, GOSUMDB } = values as Partial<Record<string, unknown>>;
  if (typeof GOPROXY !== 'string' || GOPROXY === '') return undefined;
  return {
    goproxy: GOPROXY,
    gosumdb: typeof GOSUMDB === 'string' && GOSUMDB !== '' ? GOSUMDB : usualSumdb,
  };
}
