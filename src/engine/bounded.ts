/**
 * Runs one after another for each item, `limit` at once; results in the items' order. Throws the first failure, when what
 * had begun is over.
 */
export async function mapBounded<T, R>(
  items: Iterable<T>,
  limit: number,
  run: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const left = [...items].entries();
  let failed: { error: unknown } | undefined;
  const worker = async () => {
    // they all take from the same iterator
    for (const [at, item] of left) {
      try {
        results[at] = await run(item);
      } catch (error) {
        failed ??= { error };
      }
      if (failed) return;
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failed) throw failed.error;
  return results;
}
