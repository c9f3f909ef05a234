import type { ContentRecord, StashSource, Store } from '../../src/engine/ports.ts';
import { MortalStore } from './mortal-store.ts';

/** A mortal store whose bytes are in a folder of another one: all that is read is read from there. */
export class BackedStore extends MortalStore {
  readonly #place: Store;
  readonly #folder: string;

  constructor(place: Store, folder: string) {
    super();
    this.#place = place;
    this.#folder = folder;
  }

  override open(key: string) {
    return this.#place.open(this.#at(key));
  }

  override record(key: string) {
    return this.#place.record(this.#at(key));
  }

  override readDocument(key: string) {
    return this.#place.readDocument(this.#at(key));
  }

  override isSpoiled(key: string) {
    return this.#place.isSpoiled(this.#at(key));
  }

  override list(folder: string) {
    return this.#place.list(this.#at(folder));
  }

  override async stash(key: string, source: StashSource, record: ContentRecord) {
    await super.stash(key, source, record);
    return this.#place.stash(this.#at(key), source, record);
  }

  override async writeDocument(key: string, bytes: Uint8Array): Promise<void> {
    await super.writeDocument(key, bytes);
    await this.#place.writeDocument(this.#at(key), bytes);
  }

  override async delete(key: string): Promise<void> {
    await super.delete(key);
    await this.#place.delete(this.#at(key));
  }

  #at(key: string): string {
    return `${this.#folder}/${key}`;
  }
}
