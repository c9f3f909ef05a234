import { composeAlone, type Alone } from '../app/compose-alone.ts';
import { loadConfig, type Config } from '../app/config.ts';
import { grammarChecks } from '../app/grammar-checks.ts';
import type { Terminal } from './terminal.ts';

/**
 * Opens the store for one piece of work; `signal` ends an upgrade of an older one, `changes` are made to the settings. Throws
 * StartError, LarderError, and what the work throws.
 */
export async function withStore<T>(
  terminal: Terminal,
  work: (alone: Alone) => Promise<T>,
  signal: AbortSignal,
  changes: Partial<Config> = {},
): Promise<T> {
  const config = { ...loadConfig(undefined, grammarChecks), ...changes };
  const said = (sentence: string) => {
    terminal.tell(sentence);
  };
  const alone = await composeAlone(config, said, signal);
  try {
    return await work(alone);
  } finally {
    await alone.close();
  }
}
