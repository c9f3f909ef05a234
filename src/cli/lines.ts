import { LarderError } from '../engine/errors.ts';

const NEWLINE = 10;

/**
 * Lines of UTF-8, without their ends (LF or CRLF), the last one also where nothing ends it. No more is held than one chunk and
 * one line. Throws LarderError `invalid` for a line longer than `maxBytes`.
 */
export async function* linesOf(
  input: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let number = 1;
  const hold = (part: Uint8Array) => {
    held += part.length;
    if (held > maxBytes)
      throw new LarderError(
        'invalid',
        `line ${String(number)} is longer than ${String(maxBytes)} bytes`,
      );
    parts.push(part);
  };
  const line = () => {
    const text = Buffer.concat(parts).toString();
    parts = [];
    held = 0;
    number++;
    return text.endsWith('\r') ? text.slice(0, -1) : text;
  };
  for await (const chunk of input) {
    let from = 0;
    for (let end; (end = chunk.indexOf(NEWLINE, from)) >= 0; from = end + 1) {
      hold(chunk.subarray(from, end));
      yield line();
    }
    if (from < chunk.length) hold(chunk.subarray(from));
  }
  if (held > 0) yield line();
}
