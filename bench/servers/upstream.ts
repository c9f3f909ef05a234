// A Go proxy that is some way off: the files of a module cache's download folder, each answer late by a set time.
// It counts what it is asked; /counted tells that, and begins anew.
// Usage: upstream.ts PORT FOLDER DELAY_MS

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const [port, folder = '', delayMs] = process.argv.slice(2);
const typeOf = new Map([
  ['info', 'application/json'],
  ['zip', 'application/zip'],
]);
let requests = 0;
let bytes = 0;

async function answer(url: string, res: ServerResponse): Promise<void> {
  if (url === '/counted') {
    res.end(JSON.stringify({ requests, bytes }));
    requests = bytes = 0;
    return;
  }
  requests++;
  await sleep(Number(delayMs));
  const file = folder + decodeURIComponent(url);
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile() !== true) {
    res.writeHead(404, { 'Content-Type': 'text/plain' }).end('not found: no such file');
    return;
  }
  const type = typeOf.get(url.slice(url.lastIndexOf('.') + 1)) ?? 'text/plain; charset=utf-8';
  res.writeHead(200, { 'Content-Type': type, 'Content-Length': found.size });
  bytes += found.size;
  await pipeline(createReadStream(file, { highWaterMark: 2 ** 18 }), res);
}

createServer((req, res) => {
  answer(req.url ?? '', res).catch(() => res.destroy());
}).listen(Number(port), '127.0.0.1');
