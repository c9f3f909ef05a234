/** Told what is used. On the way of every hit, so that it costs next to nothing. Never throws. */
export interface Usage {
  /** Somebody asked for it, and it was there. */
  used(key: string): void;
  /** Somebody reads it from now until the result is called, once. */
  reading(key: string): () => void;
}
