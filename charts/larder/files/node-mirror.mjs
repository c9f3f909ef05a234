// Tells containerd of this node to pull through Larder: writes a hosts.toml for each upstream, with the origin as fall-back,
// and takes them away when it is stopped. A file that another wrote is left as it is.
// Environment: FOLDER, OWNER, UPSTREAMS (name=url by commas or white space), and ADDRESS or SERVICE_HOST and SERVICE_PORT.

import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const { FOLDER, OWNER, UPSTREAMS, ADDRESS, SERVICE_HOST, SERVICE_PORT } = process.env;
const mark = `# Written by Larder's node mirror (${OWNER}), which takes it away when it is stopped.`;

function addressOfLarder() {
  if (ADDRESS) return ADDRESS.replace(/\/+$/, '');
  if (SERVICE_HOST.startsWith('$')) throw new Error('the Service has no address yet.');
  return `http://${SERVICE_HOST.includes(':') ? `[${SERVICE_HOST}]` : SERVICE_HOST}:${SERVICE_PORT}`;
}

const upstreams = UPSTREAMS.split(/[,\s]+/)
  .filter((entry) => entry !== '')
  .map((entry) => {
    const at = entry.indexOf('=');
    return { name: entry.slice(0, at), url: entry.slice(at + 1) };
  });
const fileOf = ({ name }) => join(FOLDER, name, 'hosts.toml');

/** The text of a file; undefined where there is none. */
function textOf(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function write(upstream, address) {
  const file = fileOf(upstream);
  const before = textOf(file);
  if (before !== undefined && !before.startsWith(mark)) {
    console.log(`${upstream.name}: another has written ${file}, which stays as it is`);
    return;
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    `${file}.new`,
    `${mark}\nserver = "${upstream.url}"\n\n[host."${address}"]\n  capabilities = ["pull", "resolve"]\n`,
  );
  renameSync(`${file}.new`, file);
  console.log(`${upstream.name}: by way of ${address}, else from ${upstream.url}`);
}

function remove(upstream) {
  const file = fileOf(upstream);
  if (!textOf(file)?.startsWith(mark)) return;
  rmSync(file);
  try {
    rmdirSync(dirname(file));
  } catch (error) {
    if (error.code !== 'ENOTEMPTY') throw error;
  }
  console.log(`${upstream.name}: from its origin again`);
}

const address = addressOfLarder();
const waiting = setInterval(() => undefined, 2 ** 30);
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    clearInterval(waiting);
    for (const upstream of upstreams) remove(upstream);
  });
}
for (const upstream of upstreams) write(upstream, address);
