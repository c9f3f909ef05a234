import { LarderError } from '../engine/errors.ts';

/** The value of --server, without a slash at its end. Throws LarderError `invalid` for what is no address. */
export function serverAddress(text: string): string {
  if (/^https?:\/\/[^/]/.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '');
  throw new LarderError('invalid', '--server is no address: give one such as http://larder:3000');
}
