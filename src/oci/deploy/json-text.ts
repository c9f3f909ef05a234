// JSON as text. Bytes that a digest is of must not pass through JSON.parse and JSON.stringify, which reorder keys that look
// like numbers, round numbers, rewrite escapes, and drop keys that come twice.

/**
 * The members of an object, each with its value compact: as it stands there, without the white space between its tokens.
 * `text`: the JSON of an object, which JSON.parse has taken. Throws SyntaxError for a key that comes twice in one object, at
 * any depth: readers differ on which of the two counts.
 */
export function compactMembers(text: string): Map<string, string> {
  const members = new Map<string, string>();
  /** Keys of the objects that are open; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let compact = '';
  let key = '';
  let valueFrom = 0;
  let keyComes = false;
  const endMember = () => {
    if (open.length === 1 && !keyComes) members.set(key, compact.slice(valueFrom));
  };
  for (let at = 0; at < text.length;) {
    const char = text.charAt(at);
    if (char === '"') {
      const end = endOfString(text, at);
      const token = text.slice(at, end);
      if (keyComes) {
        const name = JSON.parse(token) as string;
        const keys = open.at(-1);
        if (keys?.has(name)) throw new SyntaxError(`the key ${token} comes twice`);
        keys?.add(name);
        if (open.length === 1) key = name;
        keyComes = false;
      }
      compact += token;
      at = end;
      continue;
    }
    at++;
    if (/\s/.test(char)) continue;
    if (char === '}' || char === ']') {
      endMember();
      keyComes = false;
      open.pop();
    } else if (char === ',') {
      endMember();
      keyComes = open.at(-1) !== undefined;
    } else if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : undefined);
      keyComes = char === '{';
    }
    compact += char;
    if (char === ':' && open.length === 1) valueFrom = compact.length;
  }
  return members;
}

/** Behind the closing quote of the string that begins there. */
function endOfString(text: string, from: number): number {
  for (let at = from + 1; ; at++) {
    at = text.indexOf('"', at);
    let slashes = 0;
    while (text.charAt(at - 1 - slashes) === '\\') slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
}
