// Ceph's S3 gateway with one monitor and one object store that keeps everything in memory.

import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { answering, freePorts, run, startDaemon, type Daemon } from './daemon.ts';
import type { S3Processes } from './s3-servers.ts';
import { eventually, tempDir } from './tmp.ts';

interface Cluster {
  readonly folder: string;
  readonly id: string;
  /** The monitor's addresses, one for each version of its protocol. */
  readonly monitor: string;
  readonly port: number;
}

const configOf = ({ folder, id, monitor, port }: Cluster) => `
[global]
fsid = ${id}
mon host = ${monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = ${folder}/keyring
run dir = ${folder}/run
admin socket = ${folder}/run/$name.asok
pid file = ${folder}/run/$name.pid
log file = ${folder}/$name.ceph.log
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 0
paxos propose interval = 0.02
paxos min wait = 0.01
[mon.a]
mon data = ${folder}/mon
mon initial members = a
[osd]
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd class load list = *
osd class default list = *
[client.rgw.a]
rgw data = ${folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:${String(port)} tcp_nodelay=1
rgw enable usage log = false
rgw enable ops log = false
rgw thread pool size = 64
rgw dynamic resharding = false
`;

const keys: [name: string, ...caps: string[]][] = [
  ['mon.', 'mon', 'allow *'],
  ['client.admin', 'mon', 'allow *', 'osd', 'allow *', 'mgr', 'allow *'],
  ['client.rgw.a', 'mon', 'allow rw', 'osd', 'allow rwx'],
  ['osd.0', 'mon', 'allow profile osd', 'osd', 'allow *'],
];

export async function startCeph(): Promise<S3Processes> {
  const folder = tempDir();
  for (const name of ['mon', 'osd', 'run', 'rgw']) mkdirSync(path.join(folder, name));
  const [v2 = 0, v1 = 0, port = 0] = await freePorts(3);
  const monitor = `[v2:127.0.0.1:${String(v2)},v1:127.0.0.1:${String(v1)}]`;
  const id = randomUUID();
  const config = path.join(folder, 'ceph.conf');
  writeFileSync(config, configOf({ folder, id, monitor, port }));
  const keyring = path.join(folder, 'keyring');
  for (const [name, ...caps] of keys) {
    const create = name === 'mon.' ? ['--create-keyring'] : [];
    const pairs = caps.flatMap((cap, i) => (i % 2 === 0 ? ['--cap', cap, caps[i + 1] ?? ''] : []));
    await run('ceph-authtool', ...create, keyring, '--gen-key', '-n', name, ...pairs);
  }
  const map = path.join(folder, 'monmap');
  await run('monmaptool', '--create', '--fsid', id, '--addv', 'a', monitor, map);
  const asMonitor = ['-c', config, '-i', 'a'];
  await run('ceph-mon', ...asMonitor, '--mkfs', '--monmap', map, '--keyring', keyring);
  const daemons = [startDaemon('ceph-mon', 'ceph-mon', [...asMonitor, '-f'], { folder })];

  const osd = randomUUID();
  await run('ceph', '-c', config, '--connect-timeout', '20', 'osd', 'new', osd);
  const asOsd = ['-c', config, '-i', '0'];
  await run('ceph-osd', ...asOsd, '--mkfs', '--osd-uuid', osd);
  daemons.push(startDaemon('ceph-osd', 'ceph-osd', [...asOsd, '-f'], { folder }));
  await eventually('the object store', async () => {
    for (const daemon of daemons) daemon.throwIfEnded();
    return (await run('ceph', '-c', config, 'osd', 'stat')).includes('1 up');
  });

  const access = {
    endpoint: `http://127.0.0.1:${String(port)}`,
    region: 'us-east-1',
    accessKeyId: 'LARDER',
    secretAccessKey: 'larder-test-secret',
  };
  const user = ['--uid=larder', '--display-name=larder', `--access-key=${access.accessKeyId}`];
  const secret = `--secret-key=${access.secretAccessKey}`;
  await run('radosgw-admin', '-c', config, 'user', 'create', ...user, secret);
  const startGateway = async (): Promise<Daemon> => {
    const args = ['-c', config, '-n', 'client.rgw.a', '-f'];
    const daemon = startDaemon('radosgw', 'radosgw', args, { folder });
    await answering(access.endpoint, daemon);
    return daemon;
  };
  return {
    access,
    gateway: await startGateway(),
    startGateway,
    async stop() {
      await Promise.all(daemons.map((daemon) => daemon.kill()));
    },
  };
}
