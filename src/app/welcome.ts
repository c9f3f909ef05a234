import { createHash } from 'node:crypto';
import { imageClients, type ClientSetup } from './client-setup.ts';

/** What the page is made of. */
export interface Welcome {
  /** Where clients are served, such as `http://larder:3000`. */
  readonly base: string;
  /** The page's own address as its visitor wrote it: another port where it has one of its own. */
  readonly own: string;
  readonly version: string;
}

const style = `
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6776; --paper: #fbfaf7; --card: #fff; --line: #e2ded5; --mark: #9a5b13; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --soft: #a3a9b3; --paper: #16191d; --card: #1f2329; --line: #333941; --mark: #e0a458; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 3.5rem 1.25rem 4rem; }
h1 { margin: 0; font-size: 2.2rem; letter-spacing: -0.02em; }
h2 { margin: 2.2rem 0 0.5rem; font-size: 1.05rem; }
p { margin: 0.5rem 0; }
.soft { color: var(--soft); }
pre { margin: 0.6rem 0; padding: 0.9rem 1.1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--mark); border-radius: 6px; font: 14px/1.55 ui-monospace, monospace; }
a { color: var(--mark); }
nav { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--line); display: flex; gap: 1.2rem; flex-wrap: wrap; }
`;

const styleHash = createHash('sha256').update(style).digest('base64');

/** The page runs nothing, loads nothing, and can be put into no frame. */
export const welcomePolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** For browsers. Everything that came from outside is escaped. */
export function welcomeHtml({ base, version }: Welcome): string {
  const url = escapeHtml(base);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Larder</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Larder</h1>
<p class="soft">A caching proxy for Go modules and container images. What it has, it serves from its own store; what it lacks, it fetches once, checks, and keeps.</p>
<h2>Go, from now on</h2>
<pre>go env -w GOPROXY=${url}</pre>
<h2>Go, for one command</h2>
<pre>GOPROXY=${url} go build ./...</pre>
<h2>Try it</h2>
<pre>GOPROXY=${url} go mod download -json rsc.io/quote@v1.5.2</pre>
<p class="soft">The go command reaches the checksum database through here as well, and needs no other setting.</p>
${imageClients(base).map(setupHtml).join('\n')}
<nav>
<a href="/readyz">ready?</a>
<a href="/metrics">metrics</a>
<a href="/version">version ${escapeHtml(version)}</a>
</nav>
</main>
</body>
</html>
`;
}

function setupHtml({ client, file, text }: ClientSetup): string {
  const where = file === undefined ? '' : ` <span class="soft">${escapeHtml(file)}</span>`;
  return `<h2>${escapeHtml(client)}${where}</h2>\n<pre>${escapeHtml(text)}</pre>`;
}

/** For everybody else. */
export function welcomeText({ base, own, version }: Welcome): string {
  const images = imageClients(base).map(
    ({ client, file, text }) => `${client}${file === undefined ? '' : `, ${file}`}:\n\n${text}\n`,
  );
  return `Larder ${version}: a caching proxy for Go modules and container images.

Go, from now on:        go env -w GOPROXY=${base}
Go, for one command:    GOPROXY=${base} go build ./...

${images.join('\n')}
Ready?   ${own}/readyz
Metrics  ${own}/metrics
Version  ${own}/version
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => entities[c] ?? c);
