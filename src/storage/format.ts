import { LarderError, messageOf } from '../engine/errors.ts';
import type { Store } from '../engine/ports.ts';

/** The layout that this program writes (docs/architecture.md). */
const FORMAT = 1;
const KEY = 'format.json';

/** A store whose format is checked before its first use, however late that is. */
export interface FormattedStore extends Store {
  /**
   * Marks a new store, and refuses one that this program cannot read, untouched. Throws LarderError `unsupported`, or
   * `store_failed`, after which the next call tries again.
   */
  ready(): Promise<void>;
}

export function withFormat(store: Store): FormattedStore {
  let checked: Promise<void> | undefined;
  const ready = () =>
    (checked ??= checkFormat(store).catch((error: unknown) => {
      checked = undefined;
      throw error;
    }));
  /** Who asks for something does not hear of a program that is too old. */
  const usable = () =>
    ready().catch((error: unknown) => {
      if (!(error instanceof LarderError) || error.code !== 'unsupported') throw error;
      throw new LarderError('store_failed', messageOf(error), {
        cause: error,
        retryAfterMs: 60_000,
      });
    });
  return {
    ready,
    open: (key) => usable().then(() => store.open(key)),
    record: (key) => usable().then(() => store.record(key)),
    stash: (key, source, record) => usable().then(() => store.stash(key, source, record)),
    readDocument: (key) => usable().then(() => store.readDocument(key)),
    writeDocument: (key, bytes) => usable().then(() => store.writeDocument(key, bytes)),
    delete: (key) => usable().then(() => store.delete(key)),
    list: (folder) => usable().then(() => store.list(folder)),
    check: () => usable().then(() => store.check()),
  };
}

async function checkFormat(store: Store): Promise<void> {
  const document = await store.readDocument(KEY);
  if (document === undefined) {
    await store.writeDocument(KEY, Buffer.from(`${JSON.stringify({ format: FORMAT })}\n`));
    return;
  }
  const format = formatOf(Buffer.from(document).toString());
  if (format === FORMAT) return;
  const what = format === undefined ? 'an unreadable format.json' : `format ${String(format)}`;
  throw new LarderError(
    'unsupported',
    `The store has ${what}, and this Larder reads format ${String(FORMAT)}: run the version that wrote it, or give another LARDER_STORAGE_DIR or LARDER_S3_PREFIX.`,
  );
}

function formatOf(text: string): number | undefined {
  try {
    const { format } = JSON.parse(text) as { format?: unknown };
    return typeof format === 'number' ? format : undefined;
  } catch {
    return undefined;
  }
}
