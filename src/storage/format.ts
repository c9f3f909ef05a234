import { LarderError } from '../engine/errors.ts';
import type { Store } from '../engine/ports.ts';

/** The layout that this program writes (docs/architecture.md). */
const FORMAT = 1;
const KEY = 'format.json';

/** Marks a new store, and refuses one that this program cannot read, untouched. Throws LarderError `unsupported`. */
export async function checkFormat(store: Store): Promise<void> {
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
    `The store has ${what}, and this Larder reads format ${String(FORMAT)}: run the version that wrote it, or give another LARDER_STORAGE_DIR.`,
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
