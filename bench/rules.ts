// What a hit costs with rules and with users, beside the same Larder without: a file of one version, and the list of many.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { hashSync } from 'bcryptjs';
import type { Server } from './support/processes.ts';
import { measureInTurn, requestsTable } from './support/rounds.ts';
import { startLarder, startUpstream, type Settings } from './support/servers.ts';
import { needWrk, type Load } from './support/wrk.ts';

const ROUNDS = 7;
const VERSIONS = Array.from({ length: 500 }, (_, i) => `v1.${String(i)}.0`);
const RULES = 100;
const MODULE = 'example.com/bench';
const INFO = `/${MODULE}/@v/v1.0.0.info`;
const LIST = `/${MODULE}/@v/list`;
const [user, password] = ['bench', 'only-for-benchmarks'];
/** Sent to all of them; one asks for it. */
const headers = { Authorization: `Basic ${btoa(`${user}:${password}`)}` };
const LOAD: Load = { connections: 16, seconds: 2, headers };

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchRules(dir: string): Promise<string> {
  needWrk();
  const upstream = await startUpstream(dir, makeModule(path.join(dir, 'module')), 0);
  const write = (name: string, text: string): string => {
    writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
  };
  // none of them is about what is asked for, so that each is looked at
  const others = Array.from({ length: RULES }, (_, i) => ({
    match: `*.example.com/team${String(i)}/*`,
    deny: 'not approved',
  }));
  const file = (name: string, last: readonly object[]): Settings => ({
    LARDER_RULES_FILE: write(name, JSON.stringify({ go: [...others, ...last] })),
  });
  const users = write('htpasswd', `${user}:${hashSync(password, 10)}\n`);
  const start = (name: string, settings: Settings): Promise<Server> => {
    const own = path.join(dir, name.replaceAll(' ', '-'));
    return startLarder(
      own,
      { go: upstream.base },
      {
        name,
        settings: () => ({
          LARDER_STORAGE_DIR: path.join(own, 'store'),
          LARDER_LIST_TTL: '1d',
          ...settings,
        }),
      },
    );
  };
  const larder = await start('Larder', {});
  const ruled = await start(`${String(RULES)} rules`, file('rules', []));
  const ranged = await start(
    'the same, one on versions',
    file('versions', [{ match: MODULE, versions: '>v1.499.0', deny: 'too new' }]),
  );
  const aged = await start('the same, one on age', file('ages', [{ match: '*', minAge: '7d' }]));
  const withUsers = await start('users', { LARDER_AUTH_HTPASSWD: users });
  const servers = [larder, ruled, ranged, aged, withUsers];
  try {
    // a rule on age has fetched all of these: the others have as much in memory
    for (const server of servers)
      for (const url of [LIST, ...VERSIONS.map((version) => `/${MODULE}/@v/${version}.info`)])
        await warm(server, url);
    return [
      requestsTable('warm .info', await measureInTurn(servers, INFO, LOAD, ROUNDS), 'Larder'),
      requestsTable(
        `warm list of ${String(VERSIONS.length)} versions`,
        await measureInTurn(servers, LIST, LOAD, ROUNDS),
        'Larder',
      ),
    ].join('\n\n');
  } finally {
    await Promise.all([...servers, upstream].map((server) => server.stop()));
  }
}

/** A GOPROXY tree of one module, of which all versions are old. */
function makeModule(folder: string): string {
  const versions = path.join(folder, MODULE, '@v');
  mkdirSync(versions, { recursive: true });
  writeFileSync(path.join(versions, 'list'), `${VERSIONS.join('\n')}\n`);
  for (const Version of VERSIONS) {
    const info = JSON.stringify({ Version, Time: '2024-05-06T07:08:09Z' });
    writeFileSync(path.join(versions, `${Version}.info`), info);
    writeFileSync(path.join(versions, `${Version}.mod`), `module ${MODULE}\n`);
  }
  return folder;
}

async function warm(server: Server, url: string): Promise<void> {
  const response = await fetch(server.base + url, { headers });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${server.name} answers ${String(response.status)} for ${url}`);
}
