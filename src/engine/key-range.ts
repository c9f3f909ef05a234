/** Keys that begin with a prefix and stand behind another one, in the order in which a store lists them. */
export class KeyRange {
  readonly #prefix: string;
  readonly #after: string;

  constructor(prefix: string, after: string) {
    this.#prefix = prefix;
    this.#after = after;
  }

  has(key: string): boolean {
    return key.startsWith(this.#prefix) && key > this.#after;
  }

  /** Whether there may be some below a folder, which is written with a slash at its end. */
  reaches(folder: string): boolean {
    const begins = folder.startsWith(this.#prefix) || this.#prefix.startsWith(folder);
    return begins && (folder > this.#after || this.#after.startsWith(folder));
  }
}

/** Every key. */
export const ALL_KEYS = new KeyRange('', '');
