// A registry that is some way off, each answer late by a set time, with one repository that has one manifest and some
// blobs. It counts the GETs of blobs and their bytes; /counted tells that, and begins anew.
// Usage: registry.ts PORT DELAY_MS IMAGE   (the image as JSON)

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  blobPath,
  digestOf,
  MANIFEST_TYPE,
  manifestPath,
  piecesOf,
  TAG,
  type Image,
  type MadeBlob,
} from '../support/image.ts';

const [port, delayMs, image = ''] = process.argv.slice(2);
const { manifest, blobs } = JSON.parse(image) as Image;
const digest = digestOf(manifest);
const manifests = new Set([TAG, digest].map(manifestPath));
const blobAt = new Map(blobs.map((blob) => [blobPath(blob.digest), blob]));
let requests = 0;
let bytes = 0;

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const url = req.url ?? '';
  if (url === '/counted') {
    res.end(JSON.stringify({ requests, bytes }));
    requests = bytes = 0;
    return;
  }
  // sleeping for 0 ms takes one
  if (Number(delayMs) > 0) await sleep(Number(delayMs));
  const blob = blobAt.get(url);
  if (blob !== undefined) {
    res.writeHead(200, head('application/octet-stream', blob.digest, blob.size));
    if (req.method === 'HEAD') res.end();
    else await pipeline(counted(blob), res);
  } else if (manifests.has(url)) {
    res.writeHead(200, head(MANIFEST_TYPE, digest, Buffer.byteLength(manifest)));
    // node leaves it out for a HEAD
    res.end(manifest);
  } else if (url === '/v2/') {
    res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
  } else res.writeHead(404).end();
}

const head = (type: string, digest: string, size: number) => ({
  'Content-Type': type,
  'Content-Length': size,
  'Docker-Content-Digest': digest,
});

function* counted(blob: MadeBlob): Generator<Buffer> {
  requests++;
  for (const piece of piecesOf(blob)) {
    bytes += piece.length;
    yield piece;
  }
}

createServer((req, res) => {
  answer(req, res).catch(() => res.destroy());
}).listen(Number(port), '127.0.0.1');
