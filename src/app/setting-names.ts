/** The sentence about a LARDER_ variable that is no setting: which one was probably meant, or where it may come from. */
export function unknownSetting(name: string, known: readonly string[]): string {
  const near = nearest(name.toUpperCase(), known);
  if (near !== undefined) return `${name} is not a setting: did you mean ${near}?`;
  if (/^LARDER_(SERVICE|PORT)_/.test(name))
    return `${name} is not a setting: Kubernetes sets it for a Service named larder; set enableServiceLinks: false in the pod.`;
  return `${name} is not a setting of this version: remove it, or see .env.example for those there are.`;
}

/** The known name with the fewest typing mistakes between, if they are few enough to be mistakes. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((candidate) => ({ candidate, mistakes: editDistance(name, candidate) }))
    .sort((a, b) => a.mistakes - b.mistakes);
  const tolerated = name.length > 'LARDER_'.length + 10 ? 3 : 2;
  return best !== undefined && best.mistakes <= tolerated ? best.candidate : undefined;
}

/** Levenshtein: how many letters must be added, dropped or changed. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 0; row < a.length; row++) {
    const current = [row + 1];
    for (let column = 0; column < b.length; column++) {
      const changed = (previous[column] ?? 0) + (a[row] === b[column] ? 0 : 1);
      current.push(Math.min(changed, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
