/** Of at least one number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The median ratio of values that were measured one after the other: what the machine does meanwhile drops out. */
export const ratio = (values: readonly number[], to: readonly number[]): number =>
  median(values.map((value, i) => value / (to[i] ?? NaN)));

/** A Markdown table: the head, and rows of as many cells. Every column but the first is of numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, i) => (i === 0 ? '---' : '---:'));
  return [head, rule, ...rows].map(line).join('\n');
}

export const count = (value: number): string => Math.round(value).toLocaleString('en');
export const fixed = (value: number, digits: number): string => value.toFixed(digits);
export const times = (value: number): string => `${value.toFixed(2)}×`;
export const mebibytes = (bytes: number): string => `${count(bytes / 2 ** 20)} MiB`;

/** Tells how a long run gets on. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
