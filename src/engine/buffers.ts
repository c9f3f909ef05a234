// Read buffers that are used again: a fresh large buffer for every chunk costs more page faults than the read itself.

const LARGE = 1024 * 1024;
const SMALL = 64 * 1024;
/** At most this many large buffers at once; further readers get small ones, so memory does not grow with clients. */
const MAX_LARGE = 8;
const KEEP = 8;

const idle: Buffer[] = [];
let lent = 0;

/** A buffer to read into: 1 MiB, or 64 KiB when many are lent or when no more is wanted. Give it back with `giveBack`. */
export function borrow(wanted: number): Buffer {
  if (wanted <= SMALL || lent >= MAX_LARGE) return Buffer.allocUnsafe(Math.min(wanted, SMALL));
  lent++;
  return idle.pop() ?? Buffer.allocUnsafeSlow(LARGE);
}

export function giveBack(buffer: Buffer): void {
  if (buffer.length !== LARGE) return;
  lent--;
  if (idle.length < KEEP) idle.push(buffer);
}
