// The one history of a checksum database that this process believes in: its newest tree head, and the proof for every
// other head that it continues or belongs to the same history. (What sumdb.Client.mergeLatest does.)

import { LRUCache } from 'lru-cache';
import { LarderError } from '../../engine/errors.ts';
import { AnchoredTree } from './anchored-tree.ts';
import { openNote, type VerifierKey } from './note.ts';
import { SharedWork } from './shared-work.ts';
import type { TileSource } from './tile-source.ts';
import { EMPTY_TREE, parseTree, type Tree } from './tlog.ts';

/** Where the newest tree head outlives the process. */
export interface LatestHead {
  /** The text that was saved last, or undefined. */
  load(): Promise<string | undefined>;
  /** Called in the order in which the tree grows. Never waited for, never throws: reports a failure itself. */
  save(text: string): void;
}

interface Head extends Tree {
  /** The signed note; empty for the empty tree, which needs no signature. */
  readonly text: string;
}

/** Heads that are remembered as belonging to the history; a database signs a new one every few seconds. */
const HEADS = 1024;

export class History {
  readonly #key: VerifierKey;
  readonly #tiles: TileSource;
  readonly #port: LatestHead;
  readonly #seen = new LRUCache<string, true>({ max: HEADS });
  readonly #anchoring = new SharedWork<AnchoredTree>();
  readonly #turns = new LargestFirst();
  #loading: Promise<void> | undefined;
  #latest: Head = { ...EMPTY_TREE, text: '' };
  #anchored: AnchoredTree | undefined;

  constructor(key: VerifierKey, tiles: TileSource, port: LatestHead) {
    this.#key = key;
    this.#tiles = tiles;
    this.#port = port;
  }

  /** The newest head, as signed; empty while there is none. */
  get text(): string {
    return this.#latest.text;
  }

  /** Records in the newest tree. */
  get size(): number {
    return this.#latest.size;
  }

  /** Loads the saved head; to be awaited before anything else. Throws LarderError `store_failed` when it does not verify. */
  ready(): Promise<void> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  /**
   * Takes a signed head into the history. Throws LarderError `checksum_mismatch` when it is not signed by the
   * database's key or the two contradict each other, and what reading tiles throws.
   */
  async merge(text: string, signal: AbortSignal): Promise<void> {
    if (this.#seen.has(text)) return;
    const head = this.#open(text);
    if (head.size > this.#latest.size) await this.#advance(head, signal);
    else await this.#checkOlder(head, signal);
    this.#seen.set(text, true);
  }

  /** The newest tree, with its hashes within reach. */
  async tree(signal: AbortSignal): Promise<AnchoredTree> {
    if (this.#anchored) return this.#anchored;
    const latest = this.#latest;
    return this.#anchoring.run(latest.text, signal, async (shared) => {
      const anchored = await AnchoredTree.anchor(this.#key.name, latest, this.#tiles, shared);
      if (this.#latest === latest) this.#install(latest, anchored);
      return anchored;
    });
  }

  async #load(): Promise<void> {
    const text = await this.#port.load();
    if (text === undefined) return;
    try {
      this.#latest = this.#open(text);
    } catch (cause) {
      throw new LarderError(
        'store_failed',
        `The stored tree head of ${this.#key.name} does not verify. If its key was changed on purpose, delete it.`,
        { cause },
      );
    }
  }

  #open(text: string): Head {
    return { ...parseTree(openNote(text, this.#key)), text };
  }

  /** One at a time, and the largest of those that wait first: the others have become old then, and old ones are cheap. */
  async #advance(head: Head, signal: AbortSignal): Promise<void> {
    const done = await this.#turns.take(head.size, signal);
    try {
      const before = this.#latest;
      if (head.size > before.size) {
        const next = await AnchoredTree.anchor(this.#key.name, head, this.#tiles, signal);
        if (!(await next.hashAt(before.size, signal)).equals(before.hash))
          throw this.#fork(before, head);
        this.#install(head, next);
        this.#port.save(head.text);
        return;
      }
    } finally {
      done();
    }
    await this.#checkOlder(head, signal);
  }

  async #checkOlder(head: Head, signal: AbortSignal): Promise<void> {
    const tree = await this.tree(signal);
    if ((await tree.hashAt(head.size, signal)).equals(head.hash)) return;
    throw this.#fork(head, tree.tree);
  }

  #install(head: Head, anchored: AnchoredTree): void {
    this.#latest = head;
    this.#anchored = anchored;
    anchored.commit();
  }

  #fork(older: Tree, newer: Tree): LarderError {
    return new LarderError(
      'checksum_mismatch',
      `checksum mismatch: security error: the checksum database ${this.#key.name} signed two histories ` +
        `(tree ${String(older.size)} ${older.hash.toString('base64')} is not the beginning of ` +
        `tree ${String(newer.size)} ${newer.hash.toString('base64')}).`,
    );
  }
}

/** A lock that goes to whoever waits with the largest size. */
class LargestFirst {
  #taken = false;
  readonly #waiting = new Set<{ readonly size: number; readonly go: () => void }>();

  /** Resolves to what gives the lock back; throws the signal's reason when it aborts first. */
  async take(size: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken) await this.#wait(size, signal);
    this.#taken = true;
    return () => {
      this.#next();
    };
  }

  #wait(size: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(entry);
        reject(signal.reason as Error);
      };
      const go = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const entry = { size, go };
      this.#waiting.add(entry);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Hands over without letting go in between, so that nobody who comes now gets ahead. */
  #next(): void {
    let largest: { readonly size: number; readonly go: () => void } | undefined;
    for (const entry of this.#waiting) {
      if (!largest || entry.size > largest.size) largest = entry;
    }
    if (!largest) {
      this.#taken = false;
      return;
    }
    this.#waiting.delete(largest);
    largest.go();
  }
}
