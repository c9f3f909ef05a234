// What the documents say is held against what there is: links, settings, commands, scripts, metrics, and files to copy.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { Metrics } from '../../src/observability/metrics.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');

const pages = ['*.md', 'docs/**/*.md', 'charts/**/*.md']
  .flatMap((pattern) => globSync(pattern, { cwd: root }))
  .sort()
  .map((file) => ({ file, text: read(file) }));

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocksOf = (text: string): Block[] =>
  [...text.matchAll(/^ *```(\w+)\n([^]*?)^ *```$/gm)].map(([, language = '', code = '']) => ({
    language,
    text: code,
  }));

/** As GitHub makes them. */
const anchorsOf = (text: string): Set<string> =>
  new Set(
    [...text.replace(/^ *```[^]*?^ *```$/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );

const known = new Set(
  [...read('.env.example').matchAll(/LARDER_[A-Z0-9_]+/g)].map(([name]) => name),
);
const usage = read('src/main.ts');
const verbs = new Set([
  'serve',
  ...[...usage.matchAll(/^ +(?:Usage: )?larder (\w+)/gm)].map(([, verb]) => verb),
]);
const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;

test('docs/extending.md shows the fetcher as it is, in 40 lines or so, and its line in the composition', () => {
  const [, fetcher = '', line = ''] =
    /```ts\n([^]*?)```[^]*?```ts\n([^]*?)```/.exec(read('docs/extending.md')) ?? [];
  expect(fetcher).toBe(read('src/go/fetch-directory.ts'));
  expect(fetcher.split('\n').length).toBeLessThan(50);
  expect(read('src/app/go-fetchers.ts')).toContain(line.trim());
});

describe.each(pages)('$file', ({ file, text }) => {
  test('every link leads somewhere', () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const dead = links.filter((link) => {
      if (/^(https?|mailto):/.test(link)) return !URL.canParse(link);
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? file : relative(root, join(root, dirname(file), path));
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(read(target)).has(anchor);
    });
    expect(dead).toEqual([]);
  });

  test('every setting is one', () => {
    const named = [...text.matchAll(/\bLARDER_[A-Z0-9_]*[A-Z0-9]\b(?!\*|_)/g)].map(
      ([name]) => name,
    );
    const unknown = named.filter(
      (name) =>
        !known.has(name) &&
        !known.has(name.replace(/_FILE$/, '')) &&
        // of scripts, which say so themselves
        !/^LARDER_(BENCH|TEST)_/.test(name),
    );
    expect(unknown).toEqual([]);
  });

  test('every verb, script and metric is one', () => {
    const code = [
      ...blocksOf(text).map((block) => block.text),
      ...[...text.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span),
    ];
    const wrong = code.flatMap((piece) => [
      ...[...piece.matchAll(/(?<![\w./@-])larder ([a-z]+)(?![\w.:/=-])/g)]
        .map(([, verb]) => verb)
        .filter((verb) => !verbs.has(verb)),
      ...[...piece.matchAll(/npm run (?:-s )?([\w:]+)/g)]
        .map(([, script = '']) => script)
        .filter((script) => !(script in scripts)),
    ]);
    expect(wrong).toEqual([]);
  });

  test('what is to be copied can be read by whom it is for', () => {
    const wrong = blocksOf(text).flatMap(({ language, text: code }) => {
      const reason = mistakeIn(language, code);
      return reason === undefined ? [] : [`${language}: ${reason}\n${code}`];
    });
    expect(wrong).toEqual([]);
  });
});

test('every metric that a document names is one', async () => {
  const metrics = new Metrics();
  metrics.observeFills(() => ({ inFlight: 0, queued: 0 }));
  metrics.observeSize(() => 0);
  metrics.observeDisks({});
  const served = await metrics.text();
  const there = new Set([...served.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
  const named = pages.flatMap(({ text }) =>
    [...text.matchAll(/\blarder_[a-z_]+/g)].map(([name]) =>
      name.replace(/_(bucket|sum|count)$/, ''),
    ),
  );
  expect(named.filter((name) => !there.has(name))).toEqual([]);
  expect(named.length).toBeGreaterThan(10);
});

/** Why whoever reads files of this kind would not take it. */
function mistakeIn(language: string, code: string): string | undefined {
  switch (language) {
    case 'sh': {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: code, encoding: 'utf8' });
      return status === 0 ? undefined : stderr;
    }
    case 'yaml': {
      const [error] = parseAllDocuments(code).flatMap((document) => document.errors);
      return error?.message;
    }
    case 'json':
      try {
        JSON.parse(code);
        return undefined;
      } catch (error) {
        return String(error);
      }
    default:
      return undefined;
  }
}
