// What version control made of a version beside its zip, kept with the zip: so its other two files are always of the same run,
// also when another replica made it, or Larder was killed in between.

import type { Store } from '../engine/ports.ts';
import { seal, unseal } from '../engine/seal.ts';
import type { Made } from './fetcher.ts';
import { keyOf, type GoFileName } from './names.ts';

export class MadeVersions {
  readonly #store: Pick<Store, 'readDocument' | 'writeDocument'>;

  constructor(store: Pick<Store, 'readDocument' | 'writeDocument'>) {
    this.#store = store;
  }

  /** To be done before the zip is stored. Throws LarderError `store_failed`. */
  async keep(name: GoFileName, { h1, info, mod }: Made): Promise<void> {
    const document = seal({ h1, info: base64(info), mod: base64(mod) });
    await this.#store.writeDocument(madeKey(name), Buffer.from(document));
  }

  /** What belongs to the zip of this hash; undefined where that is not kept. Throws LarderError `store_failed`. */
  async read(name: GoFileName, h1: string): Promise<Made | undefined> {
    const document = await this.#store.readDocument(madeKey(name));
    const made = document && parse(document);
    if (made?.h1 !== h1) return undefined;
    return { h1, info: Buffer.from(made.info, 'base64'), mod: Buffer.from(made.mod, 'base64') };
  }
}

/** Whether a document with this key is one of these, and as it was written. */
export const isMade = (document: Uint8Array): boolean => parse(document) !== undefined;

function parse(document: Uint8Array): Readonly<Record<keyof Made, string>> | undefined {
  const made = unseal(Buffer.from(document).toString(), ['h1', 'info', 'mod']);
  return made as Record<keyof Made, string> | undefined;
}

/** No query is kept under it: those end in `.info`. */
const madeKey = (name: GoFileName): string =>
  `answers/${keyOf({ ...name, ext: 'zip' }).replace(/\.zip$/, '.made')}`;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
