import { LarderError, messageOf } from '../engine/errors.ts';
import type { Store } from '../engine/ports.ts';
import type { DocumentItem } from '../engine/verify-plan.ts';

/** The layout that this program writes (docs/architecture.md). */
export const FORMAT = 1;
/** The oldest one that can be upgraded. */
const OLDEST = 0;
export const FORMAT_KEY = 'format.json';

/** A store whose format is checked before its first use, however late that is. */
export interface FormattedStore extends Store {
  /**
   * Marks a new store, has an older one upgraded, and refuses one that this program cannot read, untouched. Throws
   * LarderError `unsupported`, or `store_failed`, after which the next call tries again.
   */
  ready(): Promise<void>;
}

/**
 * `upgrade` brings an older store to `FORMAT`; without it such a store is refused. `prepare` is called before anything is
 * written, and for no store that is refused.
 */
export function withFormat(
  store: Store,
  upgrade?: (store: Store) => Promise<unknown>,
  prepare: () => Promise<void> = () => Promise.resolve(),
): FormattedStore {
  let checked: Promise<void> | undefined;
  let isUpgrading = false;
  const ready = () =>
    (checked ??= check().catch((error: unknown) => {
      checked = undefined;
      throw error;
    }));
  const check = async () => {
    const format = await readFormat(store);
    if (format !== undefined && format > FORMAT) throw newer(format);
    if (format !== undefined && format < FORMAT && upgrade === undefined) throw older(format);
    await prepare();
    if (format === undefined) await writeFormat(store, FORMAT);
    else if (format < FORMAT) {
      isUpgrading = true;
      await upgrade?.(store).finally(() => {
        isUpgrading = false;
      });
    }
  };
  /** Who asks for something does not hear of a program that is too old, and does not wait for a long upgrade. */
  const usable = async () => {
    if (isUpgrading)
      throw new LarderError('store_failed', 'the store is being upgraded', { retryAfterMs: 5000 });
    try {
      await ready();
    } catch (error) {
      if (!(error instanceof LarderError) || error.code !== 'unsupported') throw error;
      throw new LarderError('store_failed', messageOf(error), {
        cause: error,
        retryAfterMs: 60_000,
      });
    }
  };
  const listBelow = store.listBelow?.bind(store);
  return {
    ready,
    open: (key) => usable().then(() => store.open(key)),
    record: (key) => usable().then(() => store.record(key)),
    stash: (key, source, record) => usable().then(() => store.stash(key, source, record)),
    readDocument: (key) => usable().then(() => store.readDocument(key)),
    writeDocument: (key, bytes) => usable().then(() => store.writeDocument(key, bytes)),
    spoil: (key) => usable().then(() => store.spoil(key)),
    isSpoiled: (key) => usable().then(() => store.isSpoiled(key)),
    delete: (key) => usable().then(() => store.delete(key)),
    list: (folder) => usable().then(() => store.list(folder)),
    ...(listBelow && {
      async *listBelow(folder: string) {
        await usable();
        yield* listBelow(folder);
      },
    }),
    check: () => usable().then(() => store.check()),
  };
}

/** The format of a store; undefined for a new one. Throws LarderError `unsupported` where it cannot be read, and `store_failed`. */
export async function readFormat(store: Pick<Store, 'readDocument'>): Promise<number | undefined> {
  const document = await store.readDocument(FORMAT_KEY);
  if (document === undefined) return undefined;
  const format = formatIn(Buffer.from(document).toString());
  if (format === undefined || format < OLDEST) throw refusal('an unreadable format.json');
  return format;
}

/** For a verification of a store in use, which has this program's format. */
export async function* formatDocument(
  store: Pick<Store, 'list' | 'writeDocument'>,
): AsyncGenerator<DocumentItem> {
  if (!(await store.list('')).includes(FORMAT_KEY)) return;
  const isSound = (bytes: Uint8Array) => formatIn(Buffer.from(bytes).toString()) === FORMAT;
  const rewrite = () => writeFormat(store, FORMAT);
  yield { kind: 'document', key: FORMAT_KEY, isSound, rewrite };
}

/** Throws LarderError `store_failed`. */
export const writeFormat = (store: Pick<Store, 'writeDocument'>, format: number): Promise<void> =>
  store.writeDocument(FORMAT_KEY, Buffer.from(`${JSON.stringify({ format })}\n`));

function formatIn(text: string): number | undefined {
  try {
    const { format } = JSON.parse(text) as { format?: unknown };
    return typeof format === 'number' && Number.isInteger(format) ? format : undefined;
  } catch {
    return undefined;
  }
}

const newer = (format: number): LarderError => refusal(`format ${String(format)}`);

/** Throws LarderError `unsupported` unless one store may be copied into the other, and `store_failed`. */
export async function checkCopy(from: Store, to: Store): Promise<void> {
  const format = await readFormat(from);
  if (format === undefined)
    throw new LarderError('unsupported', 'There is no store to be copied: it has no format.json.');
  if (format > FORMAT) throw newer(format);
  const there = await readFormat(to);
  if (there === undefined || there === format) return;
  throw new LarderError(
    'unsupported',
    `The store to copy into has format ${String(there)}, and the one that is copied format ${String(format)}: copy into an empty one, or upgrade the older one first.`,
  );
}

const refusal = (what: string): LarderError =>
  new LarderError(
    'unsupported',
    `The store has ${what}, and this Larder reads format ${String(FORMAT)}: run the version that wrote it, or give another LARDER_STORAGE_DIR or LARDER_S3_PREFIX.`,
  );

const older = (format: number): LarderError =>
  new LarderError(
    'unsupported',
    `The store has format ${String(format)}, and this Larder writes format ${String(FORMAT)}: run larder migrate once, or set LARDER_MIGRATE=auto to have it upgraded at the start.`,
  );
