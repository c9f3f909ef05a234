// Whether a server creates an object only where there is none. Some refuse to try and some take the condition and ignore it,
// so it is found out by trying.

export type CreateIfAbsentMode =
  /** The second of two creations is refused. */
  | 'enforced'
  /** Every creation with a condition is refused. */
  | 'refused'
  /** Both creations succeed. */
  | 'ignored';

/** What came of one conditional creation. */
export type Creation = 'created' | 'taken' | 'unsupported';

export class CreateIfAbsent {
  readonly #create: () => Promise<Creation>;
  #mode: Promise<CreateIfAbsentMode> | undefined;

  /** `create` creates always the same object, on condition that it is not there. */
  constructor(create: () => Promise<Creation>) {
    this.#create = create;
  }

  /** Tried once; what `create` throws is thrown, and the next caller tries again. */
  mode(): Promise<CreateIfAbsentMode> {
    this.#mode ??= this.#find().catch((error: unknown) => {
      this.#mode = undefined;
      throw error;
    });
    return this.#mode;
  }

  async #find(): Promise<CreateIfAbsentMode> {
    for (let i = 0; i < 2; i++) {
      const creation = await this.#create();
      if (creation === 'taken') return 'enforced';
      if (creation === 'unsupported') return 'refused';
    }
    return 'ignored';
  }
}
