import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');

test('docs/extending.md shows the fetcher as it is, in 40 lines or so, and its line in the composition', () => {
  const [, fetcher = '', line = ''] =
    /```ts\n([^]*?)```[^]*?```ts\n([^]*?)```/.exec(read('docs/extending.md')) ?? [];
  expect(fetcher).toBe(read('src/go/fetch-directory.ts'));
  expect(fetcher.split('\n').length).toBeLessThan(50);
  expect(read('src/app/go-fetchers.ts')).toContain(line.trim());
});
