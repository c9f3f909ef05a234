// The least that node:http can do: fixed bytes from memory, and files with a 1 MiB read buffer.
// Usage: bare.ts PORT ROOT SMALL… -- LARGE…   (paths of URLs, which are those of files under ROOT)

import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { pipeline } from 'node:stream';

const [port, root = '', ...paths] = process.argv.slice(2);
const small = new Map(
  paths.slice(0, paths.indexOf('--')).map((path) => {
    const bytes = readFileSync(root + path);
    const headers = {
      'Content-Type': path.endsWith('.info') ? 'application/json' : 'text/plain; charset=utf-8',
      'Content-Length': bytes.length,
      'Cache-Control': 'public, max-age=31536000, immutable',
      ETag: '"0"',
    };
    return [path, { headers, bytes }];
  }),
);
const large = new Map(
  paths.slice(paths.indexOf('--') + 1).map((path) => {
    const headers = {
      'Content-Type': 'application/zip',
      'Content-Length': statSync(root + path).size,
    };
    return [path, headers];
  }),
);

createServer((req, res) => {
  const path = req.url ?? '';
  const known = small.get(path);
  const headers = large.get(path);
  if (known !== undefined) res.writeHead(200, known.headers).end(known.bytes);
  else if (headers === undefined) res.writeHead(404).end();
  else {
    res.writeHead(200, headers);
    // whoever measures leaves in the middle of an answer
    pipeline(createReadStream(root + path, { highWaterMark: 2 ** 20 }), res, () => undefined);
  }
}).listen(Number(port), '127.0.0.1');
