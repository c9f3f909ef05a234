import { LarderError } from '../../src/engine/errors.ts';
import type { ContentRecord, StashSource } from '../../src/engine/ports.ts';
import { MemoryStore } from './engine.ts';

/** A store whose process is killed at a given write: nothing that comes after it gets there. */
export class MortalStore extends MemoryStore {
  /** Writes to come. */
  left = Infinity;

  /** Whether there was one more. */
  get isDead(): boolean {
    return this.left < 0;
  }

  override async stash(key: string, source: StashSource, record: ContentRecord) {
    this.#write();
    return super.stash(key, source, record);
  }

  override async writeDocument(key: string, bytes: Uint8Array): Promise<void> {
    this.#write();
    await super.writeDocument(key, bytes);
  }

  override async delete(key: string): Promise<void> {
    this.#write();
    await super.delete(key);
  }

  #write(): void {
    this.left--;
    if (this.isDead) throw new LarderError('store_failed', 'the process was killed');
  }
}
