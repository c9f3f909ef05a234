// OpenStack Swift, one node of it, behind its S3 gateway. All its files are in a folder of its own: /etc stays as it is.

import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import { answering, freePorts, run, startDaemon, type Daemon } from './daemon.ts';
import type { S3Processes } from './s3-servers.ts';
import { tempDir } from './tmp.ts';

/** The one that Debian's packages are for, whatever else is on the PATH. */
const PYTHON = '/usr/bin/python3';

/** Its programs know no other way to a swift.conf than the one in /etc. */
const RUN_ELSEWHERE = `
import runpy, sys
from swift.common.utils import set_swift_dir
set_swift_dir(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
`;

/** All rings in one go: each start of Python with Swift takes a second. */
const MAKE_RINGS = `
import os, sys
from swift.common.ring import RingBuilder
for name, port in zip(['account', 'container', 'object'], sys.argv[2:]):
    builder = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port),
                     'device': 'd1', 'weight': 1})
    builder.rebalance()
    builder.get_ring().save(os.path.join(sys.argv[1], name + '.ring.gz'))
`;

const SWIFT_CONF = `
[swift-hash]
swift_hash_path_suffix = larder
swift_hash_path_prefix = test
[storage-policy:0]
name = Policy-0
default = yes
`;

const head = (folder: string, port: number) => `
[DEFAULT]
swift_dir = ${folder}
bind_ip = 127.0.0.1
bind_port = ${String(port)}
workers = 0
user = ${userInfo().username}
devices = ${folder}/devices
mount_check = false
recon_cache_path = ${folder}/cache
log_address = ${folder}/no-syslog
`;

const backConf = (name: string) => `
[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
`;

const filters = ['catch_errors', 'gatekeeper', 'listing_formats', 'bulk', 'slo', 'dlo'];
const frontConf = (memcached: number) => `
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_larder = testing .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${String(memcached)}
${filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}`).join('\n')}
`;

export async function startSwift(): Promise<S3Processes> {
  const folder = tempDir();
  for (const name of ['devices/d1', 'cache']) {
    mkdirSync(path.join(folder, name), { recursive: true });
  }
  writeFileSync(path.join(folder, 'swift.conf'), SWIFT_CONF);
  const start = (name: string, port: number, conf: string): Daemon => {
    const file = path.join(folder, `${name}.conf`);
    writeFileSync(file, head(folder, port) + conf);
    const args = ['-c', RUN_ELSEWHERE, folder, `/usr/bin/swift-${name}-server`, file];
    return startDaemon(`swift-${name}`, PYTHON, args, { folder });
  };
  const [port = 0, memcached = 0, ...ports] = await freePorts(5);
  const daemons = [
    startDaemon(
      'memcached',
      'memcached',
      ['-u', userInfo().username, '-l', '127.0.0.1', '-p', String(memcached), '-m', '32'],
      { folder },
    ),
  ];
  await run(PYTHON, '-c', MAKE_RINGS, folder, ...ports.map(String));
  const backs = ['account', 'container', 'object'].map(async (name, i) => {
    const back = ports[i] ?? 0;
    const daemon = start(name, back, backConf(name));
    daemons.push(daemon);
    await answering(`http://127.0.0.1:${String(back)}/healthcheck`, daemon);
  });
  const access = {
    endpoint: `http://127.0.0.1:${String(port)}`,
    region: 'us-east-1',
    accessKeyId: 'test:larder',
    secretAccessKey: 'testing',
  };
  const startGateway = async () => {
    const daemon = start('proxy', port, frontConf(memcached));
    await answering(access.endpoint, daemon);
    return daemon;
  };
  const [gateway] = await Promise.all([startGateway(), ...backs]);
  return {
    access,
    gateway,
    startGateway,
    async stop() {
      await Promise.all(daemons.map((daemon) => daemon.kill()));
    },
  };
}
