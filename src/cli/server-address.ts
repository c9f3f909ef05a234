import { LarderError } from '../engine/errors.ts';

/** The value of --server. Throws LarderError `invalid` for what is no address. */
export function serverAddress(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '')
    return url;
  throw new LarderError('invalid', '--server is no address: give one such as http://larder:3000');
}
