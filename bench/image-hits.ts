// Hits of images: manifests and a large blob, beside bare node:http and distribution.

import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  blobPath,
  digestOf,
  makeBlob,
  makeManifest,
  MANIFEST_TYPE,
  manifestPath,
  piecesOf,
  TAG,
} from './support/image.ts';
import type { Server } from './support/processes.ts';
import { bytesTable, measureInTurn, requestsTable } from './support/rounds.ts';
import {
  distributionProgram,
  startBare,
  startDistribution,
  startLarder,
  startRegistry,
} from './support/servers.ts';
import { needWrk, type Load } from './support/wrk.ts';

const ROUNDS = 5;
const headers = { Accept: MANIFEST_TYPE };
const SMALL: Load = { connections: 16, seconds: 2, headers };
const LARGE: Load = { connections: 4, seconds: 3 };

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchImageHits(dir: string): Promise<string> {
  needWrk();
  const program = await distributionProgram();
  const manifest = makeManifest();
  const blob = makeBlob(0, 2 ** 28);
  const byDigest = manifestPath(digestOf(manifest));
  const byTag = manifestPath(TAG);
  const layer = blobPath(blob.digest);

  const files = path.join(dir, 'bare');
  for (const url of [byDigest, byTag, layer])
    mkdirSync(path.dirname(files + url), { recursive: true });
  for (const url of [byDigest, byTag]) await writeFile(files + url, manifest);
  await writeFile(files + layer, piecesOf(blob));

  const registry = await startRegistry(dir, { manifest, blobs: [blob] }, 0);
  const bare = await startBare(dir, files, { small: [byDigest, byTag], large: [layer] });
  const larder = await startLarder(path.join(dir, 'larder'), { images: registry.base });
  const distribution = await startDistribution(
    program,
    path.join(dir, 'distribution'),
    registry.base,
  );
  const servers = [bare, larder, distribution];
  try {
    for (const server of servers)
      for (const url of [byDigest, byTag, layer]) await warm(server, url);
    return [
      requestsTable(
        'warm manifest by digest',
        await measureInTurn(servers, byDigest, SMALL, ROUNDS),
      ),
      requestsTable('warm manifest by tag', await measureInTurn(servers, byTag, SMALL, ROUNDS)),
      bytesTable('warm blob of 256 MiB', await measureInTurn(servers, layer, LARGE, ROUNDS)),
    ].join('\n\n');
  } finally {
    await Promise.all([...servers, registry].map((server) => server.stop()));
  }
}

async function warm(server: Server, url: string): Promise<void> {
  const response = await fetch(server.base + url, { headers });
  const bytes = await response.arrayBuffer();
  const wanted = url.slice(url.lastIndexOf('/') + 1);
  const got = digestOf(Buffer.from(bytes));
  if (!response.ok || (wanted !== TAG && wanted !== got)) {
    throw new Error(`${server.name} answers ${String(response.status)} with ${got} for ${url}`);
  }
}
