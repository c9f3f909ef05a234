// A git server on loopback, the real one (`git http-backend`) behind HTTP, with a log and faults; and repositories as data.

import { execFileSync, spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { atEnd, tempDir } from './tmp.ts';

/** Files by name; those of the commit before stay. null removes one. */
export type Tree = Readonly<Record<string, string | null>>;

export interface GitServer {
  /** URL without a slash at its end; the name of a repository follows. */
  readonly url: string;
  /** Paths that were asked for, in their order. */
  readonly log: readonly string[];
  /** From now on requests are held: they get no answer, until `open` is called. */
  hold(): () => void;
  /** How many are held now. */
  readonly held: number;
  /** From now on it asks for this user and password; undefined: for none. */
  credentials: { readonly user: string; readonly password: string } | undefined;
  /** From now on it answers with this status; undefined: as it should. */
  status: number | undefined;
  repository(name: string): Repository;
  down(): Promise<void>;
}

export class Repository {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
    mkdirSync(dir, { recursive: true });
    this.git('init', '-q', '-b', 'main');
  }

  /** Commits these files, with tags on it. Returns the hash. */
  commit(tree: Tree, ...tags: string[]): string {
    for (const [name, text] of Object.entries(tree)) {
      const file = join(this.dir, name);
      if (text === null) {
        rmSync(file);
        continue;
      }
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    this.git('add', '-A');
    this.git('commit', '-q', '--allow-empty', '-m', 'a commit of a test');
    for (const tag of tags) this.git('tag', '-f', tag);
    return this.git('rev-parse', 'HEAD').trim();
  }

  git(...args: string[]): string {
    return execFileSync('git', args, {
      cwd: this.dir,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 2 ** 26,
      env: {
        PATH: process.env['PATH'] ?? '',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_SYSTEM: '/dev/null',
        GIT_AUTHOR_NAME: 'test',
        GIT_AUTHOR_EMAIL: 'test@example.com',
        GIT_AUTHOR_DATE: '2024-05-06T07:08:09Z',
        GIT_COMMITTER_NAME: 'test',
        GIT_COMMITTER_EMAIL: 'test@example.com',
        GIT_COMMITTER_DATE: '2024-05-06T07:08:09Z',
      },
    });
  }
}

/** Starts one; it ends with the test or file. `root`: folder of the repositories. */
export async function startGitServer(root = tempDir()): Promise<GitServer> {
  const log: string[] = [];
  let gate: { opened: Promise<void>; open: () => void } | undefined;
  let held = 0;
  const http = createServer((req, res) => {
    void answer(req, res);
  });
  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    log.push(req.url ?? '');
    if (gate) {
      held++;
      const gone = new Promise<void>((resolve) => res.once('close', resolve));
      await Promise.race([gate.opened, gone]);
      held--;
    }
    if (res.closed) return;
    if (server.status !== undefined) {
      res.writeHead(server.status).end();
      return;
    }
    const { credentials } = server;
    const wanted = credentials && `Basic ${btoa(`${credentials.user}:${credentials.password}`)}`;
    if (wanted !== undefined && req.headers.authorization !== wanted) {
      res.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    backend(root, req, res);
  }
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: GitServer = {
    url: `http://127.0.0.1:${String((http.address() as AddressInfo).port)}`,
    log,
    hold() {
      let open = (): void => undefined;
      const opened = new Promise<void>((resolve) => (open = resolve));
      gate = { opened, open };
      return () => {
        gate = undefined;
        open();
      };
    },
    get held() {
      return held;
    },
    credentials: undefined,
    status: undefined,
    repository: (name) => new Repository(join(root, name)),
    down: () =>
      new Promise((resolve) => {
        http.close(() => {
          resolve();
        });
        http.closeAllConnections();
      }),
  };
  atEnd(() => server.down());
  return server;
}

/** One request as CGI (RFC 3875). */
function backend(root: string, req: IncomingMessage, res: ServerResponse): void {
  const { pathname, searchParams } = new URL(req.url ?? '/', 'http://localhost');
  const { headers } = req;
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_SYSTEM: '/dev/null',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
      PATH_INFO: pathname,
      QUERY_STRING: searchParams.toString(),
      REQUEST_METHOD: req.method ?? 'GET',
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined); // it reads no more than it needs
  req.pipe(child.stdin);
  res.once('close', () => child.kill('SIGKILL'));
  let head = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    if (res.headersSent) {
      res.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const lines = head.subarray(0, end).toString().split('\r\n');
    const fields = lines.map((line) => line.split(': ') as [string, string]);
    const status = fields.find(([name]) => name === 'Status')?.[1];
    res.writeHead(
      Number(status?.slice(0, 3) ?? 200),
      Object.fromEntries(fields.filter(([name]) => name !== 'Status')),
    );
    res.write(head.subarray(end + 4));
  });
  child.once('close', () => res.end());
}
