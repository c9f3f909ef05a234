// The netrc format, as curl and go read it: words with white space between them; a macro goes to the next empty line.

export interface Login {
  readonly login: string;
  readonly password: string;
}

/** Who Larder is to a host (without a port), by the text of a netrc file: the first entry of that name, else `default`. */
export function loginFor(netrc: string, host: string): Login | undefined {
  const words = netrc
    .replace(/^[ \t]*macdef\b[^]*?(\n[ \t]*\r?\n|$(?![^]))/gm, '\n')
    .replace(/^\s*#.*$/gm, '')
    .split(/\s+/)
    .filter((word) => word !== '');
  const entries: { machine: string | undefined; login: string; password: string }[] = [];
  const rest = words[Symbol.iterator]();
  for (const word of rest) {
    if (word === 'default') {
      entries.push({ machine: undefined, login: '', password: '' });
      continue;
    }
    // every other word has a value: account, too
    const { value = '' } = rest.next() as { value?: string };
    const entry = entries.at(-1);
    if (word === 'machine') entries.push({ machine: value, login: '', password: '' });
    else if (entry && (word === 'login' || word === 'password')) entry[word] = value;
  }
  const found = entries.find(({ machine }) => machine === undefined || machine === host);
  return found && { login: found.login, password: found.password };
}
