// Version control over SSH (issue 6): by the key and the known hosts that the settings name, and by nothing else.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { goModDownload } from '../support/go.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { startSshServer } from '../support/ssh-server.ts';
import { tempDir } from '../support/tmp.ts';
import { directly, HOST, leadingTo, startCode } from '../support/vcs.ts';

test('git over SSH: what go makes of it, and nobody in the middle or with another key', async () => {
  const root = tempDir();
  const { git, gitConfig } = await startCode(root);
  const ssh = await startSshServer();
  const module = `${HOST}/ssh.git`;
  git.repository('ssh.git').commit({ 'go.mod': `module ${module}\n` }, 'v1.0.0');
  const [own] = await directly([`${module}@v1.0.0`], gitConfig);
  const asked = git.log.length;
  const leadsToSsh = join(tempDir(), 'gitconfig');
  writeFileSync(leadsToSsh, leadingTo(`${ssh.url}${root}`));
  const start = (keyFile: string, knownHostsFile: string | undefined) =>
    startLarderProcess({
      env: {
        LARDER_GO_PRIVATE: HOST,
        LARDER_GIT_CONFIG: leadsToSsh,
        LARDER_SSH_KEY_FILE: keyFile,
        ...(knownHostsFile !== undefined && { LARDER_SSH_KNOWN_HOSTS_FILE: knownHostsFile }),
      },
    });

  const larder = await start(ssh.keyFile, ssh.knownHostsFile);
  const [through] = await goModDownload([`${module}@v1.0.0`], { proxy: larder.base });
  expect(through).toMatchObject({ Sum: own?.Sum, GoModSum: own?.GoModSum });
  const list = await request(larder.base, `/${module}/@v/list`);
  expect(list.text).toBe('v1.0.0\n');

  const refusals = [
    ['another host key', ssh.keyFile, ssh.otherKnownHostsFile, 'LARDER_SSH_KNOWN_HOSTS_FILE'],
    ['no known host', ssh.keyFile, undefined, 'LARDER_SSH_KNOWN_HOSTS_FILE'],
    ['another key', ssh.otherKeyFile, ssh.knownHostsFile, 'LARDER_SSH_KEY_FILE'],
  ] as const;
  for (const [what, key, hosts, setting] of refusals) {
    const refusing = await start(key, hosts);
    const reply = await request(refusing.base, `/${module}/@v/v1.0.0.zip`);
    expect({ what, status: reply.status }).toEqual({ what, status: 502 });
    expect(reply.text.split('\n')[0]).toContain(setting);
    expect(reply.text).not.toContain(hosts ?? key);
  }
  expect(git.log).toHaveLength(asked);
});
