// Hits: requests a second, bytes a second, and what they cost, beside bare node:http and goproxy.

import path from 'node:path';
import { moduleTree } from './support/module-tree.ts';
import type { Server } from './support/processes.ts';
import { bytesTable, measureInTurn, requestsTable } from './support/rounds.ts';
import {
  goproxyProgram,
  startBare,
  startGoproxy,
  startLarder,
  startUpstream,
} from './support/servers.ts';
import { needWrk, type Load } from './support/wrk.ts';

const INFO = '/github.com/google/uuid/@v/v1.6.0.info';
const MOD = '/github.com/google/uuid/@v/v1.6.0.mod';
const ZIP = '/github.com/aws/aws-sdk-go/@v/v1.55.8.zip';
const ROUNDS = 7;
const SMALL: Load = { connections: 16, seconds: 2 };
const LARGE: Load = { connections: 8, seconds: 3 };

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchHits(dir: string): Promise<string> {
  needWrk();
  const { files } = await moduleTree();
  const upstream = await startUpstream(dir, files, 0);
  const larder = await startLarder(path.join(dir, 'larder'), { go: upstream.base });
  const goproxy = await startGoproxy(
    await goproxyProgram(),
    path.join(dir, 'goproxy'),
    upstream.base,
  );
  const bare = await startBare(dir, files, { small: [INFO, MOD], large: [ZIP] });
  const servers = [bare, larder, goproxy];
  try {
    for (const server of servers) for (const url of [INFO, MOD, ZIP]) await warm(server, url);
    // a hit asks nobody
    await upstream.stop();
    return [
      requestsTable('warm .info', await measureInTurn(servers, INFO, SMALL, ROUNDS)),
      requestsTable('warm .mod', await measureInTurn(servers, MOD, SMALL, ROUNDS)),
      bytesTable('warm .zip of 36 MB', await measureInTurn(servers, ZIP, LARGE, ROUNDS)),
    ].join('\n\n');
  } finally {
    await Promise.all([...servers, upstream].map((server) => server.stop()));
  }
}

async function warm(server: Server, url: string): Promise<void> {
  const response = await fetch(server.base + url);
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${server.name} answers ${String(response.status)} for ${url}`);
}
