// Patterns of slash-separated names: the globs of Go's path.Match, and lists of them in the grammar of GOPRIVATE
// (golang.org/x/mod/module, MatchPrefixPatterns), where each matches a name by as many leading elements as it has itself.

/**
 * Does one of the patterns match the target or its leading elements? The grammar of GOPRIVATE: a list by commas,
 * each a glob of Go's path.Match for as many elements as it has itself. Empty and malformed ones match nothing.
 */
export const matchPrefixPatterns = (globs: string, target: string): boolean =>
  compilePrefixPatterns(globs)(target);

/** The same for many targets: the patterns are read once. */
export function compilePrefixPatterns(globs: string): (target: string) => boolean {
  const patterns = globs.split(',').flatMap((glob) => compilePrefixPattern(glob) ?? []);
  return (target) => patterns.some((matches) => matches(target));
}

/** One such pattern. Undefined when it is empty or malformed. */
export function compilePrefixPattern(text: string): ((target: string) => boolean) | undefined {
  const glob = text.endsWith('/') ? text.slice(0, -1) : text;
  const matches = compileGlob(glob);
  if (matches === undefined) return undefined;
  const elements = glob.split('/').length;
  return (target) => {
    const prefix = leadingElements(target, elements);
    return prefix !== undefined && matches(prefix);
  };
}

/** A glob for the whole of a name. Undefined when it is empty or malformed. */
export function compileGlob(glob: string): ((name: string) => boolean) | undefined {
  const tokens = glob === '' ? undefined : parseGlob(glob);
  return tokens && ((name) => matchesGlob(tokens, name));
}

/** The first `count` elements of a path, or undefined when it has fewer. */
function leadingElements(path: string, count: number): string | undefined {
  let end = -1;
  for (let left = count; left > 0; left--) {
    end = path.indexOf('/', end + 1);
    if (end < 0) return left === 1 ? path : undefined;
  }
  return path.slice(0, end);
}

type GlobToken =
  | { readonly kind: 'star' | 'any' }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: [number, number][] };

/** Reads a glob of path.Match: `*`, `?`, `[a-z]`, `[^a-z]`, `\` before any character. Undefined when it is malformed. */
function parseGlob(glob: string): GlobToken[] | undefined {
  const characters = Array.from(glob);
  const tokens: GlobToken[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at];
    if (character === '*') tokens.push({ kind: 'star' });
    else if (character === '?') tokens.push({ kind: 'any' });
    else if (character === '[') {
      const parsed = parseClass(characters, at + 1);
      if (parsed === undefined) return undefined;
      tokens.push(parsed.token);
      at = parsed.end;
    } else {
      const text = character === '\\' ? characters[++at] : character;
      if (text === undefined) return undefined;
      tokens.push({ kind: 'literal', text });
    }
  }
  return tokens;
}

/** Reads a class from behind its `[`; `end` is where its `]` stands. */
function parseClass(
  characters: readonly string[],
  start: number,
): { token: GlobToken; end: number } | undefined {
  const negated = characters[start] === '^';
  const ranges: [number, number][] = [];
  let at = negated ? start + 1 : start;
  const next = (): number | undefined => {
    let character = characters[at++];
    if (character === '-' || character === ']') return undefined;
    if (character === '\\') character = characters[at++];
    return character?.codePointAt(0);
  };
  do {
    const low = next();
    let high = low;
    if (characters[at] === '-') {
      at++;
      high = next();
    }
    if (low === undefined || high === undefined) return undefined;
    ranges.push([low, high]);
  } while (characters[at] !== ']');
  return { token: { kind: 'class', negated, ranges }, end: at };
}

/** Go's path.Match: a star goes as far as it must and never over a slash, and what matched before it stays matched. */
function matchesGlob(tokens: readonly GlobToken[], name: string): boolean {
  const characters = Array.from(name);
  let token = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < characters.length || token < tokens.length) {
    const current = tokens[token];
    if (current?.kind === 'star') {
      star = token++;
      starAt = at;
      if (token === tokens.length) return !characters.includes('/', at);
    } else if (current !== undefined && matchesOne(current, characters[at])) {
      token++;
      at++;
    } else {
      // The last star takes one character more, if it may.
      if (star < 0 || starAt >= characters.length || characters[starAt] === '/') return false;
      at = ++starAt;
      token = star + 1;
    }
  }
  return true;
}

function matchesOne(token: GlobToken, character: string | undefined): boolean {
  if (character === undefined) return false;
  switch (token.kind) {
    case 'literal':
      return token.text === character;
    case 'any':
      return character !== '/';
    case 'class': {
      const code = character.codePointAt(0) ?? 0;
      return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
    }
    case 'star':
      return false;
  }
}
