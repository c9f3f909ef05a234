// A verb of the command line within the process of the tests.

import { Readable } from 'node:stream';
import type { Terminal } from '../../src/cli/terminal.ts';
import type { ExitCode, Verb } from '../../src/cli/verb.ts';

export interface VerbRun {
  /** Undefined where the verb was stopped. */
  readonly code: ExitCode | undefined;
  /** Lines on standard output, and on standard error. */
  readonly said: readonly string[];
  readonly told: readonly string[];
}

/** Runs it to its end. Throws its mistakes. */
export async function runVerb(
  verb: Verb,
  args: readonly string[],
  { signal = new AbortController().signal, input = '' } = {},
): Promise<VerbRun> {
  const said: string[] = [];
  const told: string[] = [];
  const terminal: Terminal = {
    say: (line) => said.push(...line.split('\n')),
    tell: (line) => told.push(...line.split('\n')),
    progress: () => undefined,
    flushed: () => Promise.resolve(),
    input: () => Readable.from([Buffer.from(input)]),
    inputIsTerminal: false,
  };
  const code = await verb([...args], terminal, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return undefined;
  });
  return { code, said, told };
}
