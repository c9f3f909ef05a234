// Docker and containerd before a Larder with users, as README.md sets them up (issue 6).
// LARDER_TEST_CLIENTS: the folder that scripts/install-clients.sh filled.

import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { containerd, docker } from '../support/image-daemons.ts';
import { startLarderProcess } from '../support/larder.ts';
import { pushMultiArch, thisArchitecture } from '../support/real-images.ts';
import { debianRegistry, startRealRegistry } from '../support/real-registry.ts';
import { atEnd, tempDir } from '../support/tmp.ts';
import { writeUsers } from '../support/users.ts';

const folder = resolve(process.env['LARDER_TEST_CLIENTS'] ?? '.cache/clients');
const alice = { user: 'alice', password: 'sesame' };
const [debian, newer] = [join(folder, 'debian'), join(folder, 'newer')];
const users = join(tempDir(), 'users');
writeUsers(users, { [alice.user]: alice.password });
const registry = await startRealRegistry(debianRegistry, tempDir());
atEnd(() => registry.stop());
const image = await pushMultiArch(registry.base, 'library/alpine', '3.20');
const larder = await startLarderProcess({
  env: {
    LARDER_AUTH_HTPASSWD: users,
    // the mirror, and nobody else that they could ask
    LARDER_OCI_UPSTREAMS: `docker.io=${registry.base}`,
  },
});
const { host } = new URL(larder.base);
const IMAGE = 'docker.io/library/alpine:3.20';
const clients = (as?: typeof alice) => [
  docker(debian, as),
  containerd('containerd of Debian', debian, as),
  containerd('containerd 2', newer, as),
];

test.each(clients(alice))('$name pulls as a user', async ({ pull }) => {
  const { config, payloadSha256 } = image[thisArchitecture];
  expect(await pull(host, IMAGE)).toEqual({ config: config.digest, payloadSha256 });
});

test.each(clients())('$name pulls nothing without', async ({ pull }) => {
  await expect(pull(host, IMAGE)).rejects.toThrow();
});

test.each(clients({ ...alice, password: 'guess' }))(
  '$name pulls nothing with a wrong password',
  async ({ pull }) => {
    await expect(pull(host, IMAGE)).rejects.toThrow(/401|authori|authenticat/i);
  },
);
