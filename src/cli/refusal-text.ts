import type { UpstreamResponse } from '../http/client.ts';
import { readAll } from '../http/download.ts';

/** Bytes of a refusal that are read. */
const MAX_TEXT = 64 * 1024;

/** What a refusal of a Larder says: the first line of a text, or the first error of the distribution API. */
export async function sentenceOf({ status, url, body }: UpstreamResponse): Promise<string> {
  const text = await readAll(body, MAX_TEXT).then(String, () => '');
  const [line = ''] = text.trim().split('\n');
  return messageIn(text) ?? (line === '' ? `${url.host} answers ${String(status)}` : line);
}

function messageIn(text: string): string | undefined {
  try {
    const { errors } = JSON.parse(text) as { errors?: readonly { message?: unknown }[] };
    const message = errors?.[0]?.message;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
