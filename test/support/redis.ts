// Redis on loopback, keeping nothing: one server, a master with sentinels, a cluster.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { freePorts, startDaemon, type Daemon } from './daemon.ts';
import { atEnd, eventually, tempDir } from './tmp.ts';

export interface RedisServer {
  readonly port: number;
  /** As LARDER_REDIS_URL wants it. */
  readonly url: string;
  /** One command, on a connection of its own. */
  command(name: string, ...args: (string | number)[]): Promise<unknown>;
  pause(): void;
  resume(): void;
  /** Ends it, with all it holds. */
  kill(): Promise<void>;
  /** Starts it again on its port, empty. */
  restart(): Promise<void>;
}

/** Ends with the test or file. `args` are redis-server's own. */
export async function startRedis(
  args: readonly string[] = [],
  port?: number,
): Promise<RedisServer> {
  const folder = tempDir();
  const [free = 0] = port === undefined ? await freePorts(1) : [port];
  let daemon: Daemon;
  const start = async () => {
    const own = ['--port', String(free), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    daemon = startDaemon('redis', 'redis-server', [...own, ...args], { folder });
    await eventually('Redis listens', () => {
      daemon.throwIfEnded();
      return listens(free);
    });
  };
  const command = async (name: string, ...rest: (string | number)[]) => {
    const client = new Redis({ port: free, lazyConnect: true, retryStrategy: null });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.call(name, ...rest);
    } finally {
      client.disconnect();
    }
  };
  await start();
  const kill = async () => {
    daemon.signal('SIGCONT');
    await daemon.kill();
  };
  atEnd(kill);
  return {
    port: free,
    url: `redis://127.0.0.1:${String(free)}`,
    command,
    pause: () => {
      daemon.signal('SIGSTOP');
    },
    resume: () => {
      daemon.signal('SIGCONT');
    },
    kill,
    restart: start,
  };
}

/** Whether somebody takes connections there. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => {
      resolve(false);
    });
  });
}

/** A master with a replica, and three sentinels that fail over within seconds. */
export async function startSentinels() {
  const master = await startRedis();
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)]);
  const ports = await freePorts(3);
  for (const port of ports) {
    const folder = tempDir();
    const file = path.join(folder, 'sentinel.conf');
    writeFileSync(
      file,
      [
        `port ${String(port)}`,
        'bind 127.0.0.1',
        `sentinel monitor larder 127.0.0.1 ${String(master.port)} 2`,
        'sentinel down-after-milliseconds larder 1000',
        'sentinel failover-timeout larder 3000',
      ].join('\n'),
    );
    const daemon = startDaemon('sentinel', 'redis-server', [file, '--sentinel'], { folder });
    atEnd(() => daemon.kill());
  }
  await eventually('the replica follows', async () =>
    /slave0:.*state=online/.test(String(await master.command('INFO', 'replication'))),
  );
  const [first = 0] = ports;
  const sentinel = new Redis({ port: first });
  sentinel.on('error', () => undefined);
  atEnd(() => {
    sentinel.disconnect();
  });
  await eventually('the sentinels agree', async () =>
    String(await sentinel.call('SENTINEL', 'CKQUORUM', 'larder')).startsWith('OK'),
  );
  const hosts = ports.map((port) => `127.0.0.1:${String(port)}`).join(',');
  return { master, replica, url: `redis+sentinel://${hosts}/larder` };
}

/** Three masters. */
export async function startCluster() {
  const nodes = [];
  // the bus of a node has its port and 10,000: all below what the system gives to others, from 32,768 on
  const first = 15_000 + Math.floor(Math.random() * 7000);
  for (let i = 0; i < 3; i++) {
    const folder = tempDir();
    nodes.push(await startRedis(['--cluster-enabled', 'yes', '--dir', folder], first + i));
  }
  const hosts = nodes.map(({ port }) => `127.0.0.1:${String(port)}`);
  await promisify(execFile)('redis-cli', ['--cluster', 'create', ...hosts, '--cluster-yes']);
  for (const node of nodes) {
    await eventually('the cluster is ready', async () =>
      String(await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    );
  }
  return { nodes, url: `redis+cluster://${hosts.join(',')}` };
}
