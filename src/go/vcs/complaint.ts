// What go and git complain of, as errors of Larder: not there, no credentials, not reached, or something else.

import { LarderError, type ErrorCode } from '../../engine/errors.ts';

/** In this order: a host that cannot be reached may well be told of as an import path that is unknown. */
const KINDS: readonly (readonly [ErrorCode, RegExp])[] = [
  ['upstream_failed', /executable file not found|No space left on device|signal: killed/],
  [
    'upstream_unauthorized',
    /terminal prompts disabled|could not read (Username|Password)|Authentication failed|Permission denied|Host key verification failed|error: 40[13]\b|\b401 Unauthorized|\b403 Forbidden|HTTP Basic: Access denied/i,
  ],
  [
    'upstream_failed',
    /could not resolve|no such host|connection refused|failed to connect|couldn't connect|connection timed out|i\/o timeout|TLS|certificate|x509|connection reset|unreachable|no route to host|dial tcp|early EOF|hung up|error: 5\d\d\b|\b5\d\d (Internal|Bad|Service|Gateway)|unexpected disconnect|Empty reply|RPC failed|requires go >=/i,
  ],
  [
    'not_found',
    /unknown revision|invalid version|no matching versions|unrecognized import path|\bnot found\b|does not (exist|appear to be)|no secure protocol found|module declares its path as|error: 4(04|10)\b|404 Not Found|410 Gone|malformed module path|invalid github\.com import path|no required module|missing go\.mod|disallowed by GOVCS/i,
  ],
];

const CREDENTIALS =
  'version control asks Larder for credentials, or does not take those it has: see LARDER_NETRC, LARDER_GIT_CONFIG and LARDER_SSH_KEY_FILE';

const UNKNOWN_HOST = /Host key verification failed|No \S+ host key is known/i;
/** What ssh says of another key than it knows, with a file of this machine; then it says that verification failed. */
const ALARM =
  /^(@|IT IS POSSIBLE|Someone could|It is also|The fingerprint|SHA256:|Please contact|Add correct|Offending| +(remove with|ssh-keygen))/;
const HOST_KEY =
  'the host of version control has another SSH key than LARDER_SSH_KNOWN_HOSTS_FILE says, or is not in it';

/** `folder`: where it ran, of no concern to a client. */
export function complaint(said: string, folder: string): LarderError {
  const text = sentence(said, folder);
  const code = KINDS.find(([, pattern]) => pattern.test(text))?.[0] ?? 'upstream_failed';
  if (UNKNOWN_HOST.test(text)) return new LarderError(code, `${HOST_KEY}\n${text}`);
  if (code === 'upstream_unauthorized') return new LarderError(code, `${CREDENTIALS}\n${text}`);
  return new LarderError(code, text === '' ? 'the go command failed and said nothing' : text);
}

/** A repository of which go says no more than this: whether it is not there or not reached, git knows. */
export const saysTooLittle = (said: string): boolean =>
  said.includes('no secure protocol found for repository');

/** Without what go says of its work, without folders of this machine and credentials in addresses. */
function sentence(said: string, folder: string): string {
  return said
    .split('\n')
    .filter((line) => !/^go: (downloading|finding|extracting) /.test(line) && !ALARM.test(line))
    .join('\n')
    .replace(/^go: /gm, '')
    .replaceAll(new RegExp(`( in)? ${escaped(folder)}[^\\s:]*`, 'g'), '')
    .replaceAll(new RegExp(`${escaped(folder)}[^\\s:'"]*`, 'g'), '…')
    .replace(/^(Load key) "[^"]*"/gm, '$1')
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s'"]*@/gi, '$1')
    .trim();
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
