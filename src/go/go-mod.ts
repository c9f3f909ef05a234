/** Whether a text has a module line, as x/mod's modfile.ModulePath looks for one: comments and blank lines apart. */
export function hasModuleLine(text: string): boolean {
  return text.split('\n').some((line) => /^\s*module[\s("`]+[^\s/"`]/.test(line));
}
