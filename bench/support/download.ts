import { get, type IncomingMessage } from 'node:http';
import { finished } from 'node:stream/promises';

const ENDS_WITHIN_MS = 180_000;

export interface Download {
  /** From the start to the first byte of the body, connecting included. */
  readonly firstByteMs: number;
  readonly seconds: number;
}

/** Gets a body over a connection of its own and forgets it. Throws when it is not a 200, and of `size` bytes where that is given. */
export async function download(url: string, size?: number): Promise<Download> {
  const begun = performance.now();
  const signal = AbortSignal.timeout(ENDS_WITHIN_MS);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { agent: false, signal }, resolve).on('error', reject);
  });
  let firstByteMs: number | undefined;
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    firstByteMs ??= performance.now() - begun;
    bytes += chunk.length;
  });
  await finished(response);
  if (response.statusCode !== 200 || firstByteMs === undefined || bytes !== (size ?? bytes)) {
    throw new Error(`${url} is ${String(response.statusCode)} with ${String(bytes)} bytes`);
  }
  return { firstByteMs, seconds: (performance.now() - begun) / 1000 };
}

/** All at once: the longest wait for a first byte, and the time until the last has everything. */
export async function downloadAll(urls: readonly string[], size: number): Promise<Download> {
  const downloads = await Promise.all(urls.map((url) => download(url, size)));
  return {
    firstByteMs: Math.max(...downloads.map(({ firstByteMs }) => firstByteMs)),
    seconds: Math.max(...downloads.map(({ seconds }) => seconds)),
  };
}
