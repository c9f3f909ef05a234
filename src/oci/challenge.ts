// WWW-Authenticate: what a registry wants to see before it answers (RFC 9110, 11.6.1; distribution's token spec).

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+.^`|~\w-]+/y;
const PARAMETER =
  /([!#$%&'*+.^`|~\w-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^`|~\w-]+))/y;
/** One token of credentials in place of parameters, as Negotiate has it. */
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;
const SPACE = /[ \t]*/y;
const COMMAS = /[ \t]*(?:,[ \t]*)*/y;

/** The challenges of one header, or of several: they mean the same joined by commas. What cannot be read ends the list. */
export function parseChallenges(header: string | readonly string[]): Challenge[] {
  const text = typeof header === 'string' ? header : header.join(', ');
  const challenges: Challenge[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found;
  };
  for (;;) {
    take(COMMAS);
    const scheme = take(TOKEN)?.[0].toLowerCase();
    if (scheme === undefined) return challenges;
    take(SPACE);
    const parameters = new Map<string, string>();
    challenges.push({ scheme, parameters });
    let parameter = take(PARAMETER);
    if (parameter === null) take(TOKEN68);
    while (parameter) {
      const [, name = '', quoted, plain = ''] = parameter;
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain);
      const end = at;
      take(COMMAS);
      parameter = take(PARAMETER);
      if (parameter === null) at = end;
    }
  }
}
