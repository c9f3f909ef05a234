import { composeAlone, type Alone } from '../app/compose-alone.ts';
import { loadConfig, type Config } from '../app/config.ts';
import { grammarChecks } from '../app/grammar-checks.ts';
import type { Terminal } from './terminal.ts';
import { adminOf } from './verb.ts';

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

/**
 * What long work brings: as a job of that server, else done here. Throws as `AdminClient.run` and `withStore` do.
 */
export async function longWork<R>(
  {
    terminal,
    signal,
    server,
  }: { terminal: Terminal; signal: AbortSignal; server: string | undefined },
  job: { readonly kind: string; readonly options: object },
  work: (alone: Alone, progress: Terminal['progress']) => Promise<R>,
): Promise<R> {
  const progress = terminal.progress.bind(terminal);
  if (server === undefined) return withStore(terminal, (alone) => work(alone, progress), signal);
  return (await adminOf(server).run(job.kind, job.options, signal, progress)) as R;
}
