// A registry that is some way off, each answer late by a set time, in which every tag of every repository is there. It counts
// requests, and how many of them were there at once; /counted tells that, and begins anew.
// Usage: tags.ts PORT DELAY_MS

import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';

const [port, delayMs] = process.argv.slice(2);
let requests = 0;
let open = 0;
let most = 0;

function answer(path: string, res: ServerResponse): void {
  open--;
  if (!path.includes('/manifests/')) {
    res.end('{}');
    return;
  }
  const digest = `sha256:${createHash('sha256').update(path).digest('hex')}`;
  res.writeHead(200, {
    'Content-Type': 'application/vnd.oci.image.manifest.v1+json',
    'Content-Length': 1234,
    'Docker-Content-Digest': digest,
  });
  res.end();
}

createServer((req, res) => {
  const path = req.url ?? '';
  if (path === '/counted') {
    res.end(JSON.stringify({ requests, most }));
    requests = most = 0;
    return;
  }
  requests++;
  most = Math.max(most, ++open);
  setTimeout(answer, Number(delayMs), path, res);
}).listen(Number(port), '127.0.0.1');
