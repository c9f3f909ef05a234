import { expect, test } from 'vitest';
import { goEnvironment, hgrc, HGRC } from '../../../src/go/vcs/environment.ts';

const settings = {
  netrc: undefined,
  gitConfig: undefined,
  sshKeyFile: undefined,
  sshKnownHostsFile: undefined,
  privatePatterns: 'a.example.com,b.example.com/x',
  outside: { PATH: '/bin' },
  timeoutMs: 1,
};

test('without settings nothing of a user is found, over HTTPS or SSH', () => {
  const env = goEnvironment(settings, '/home');
  expect(env).toMatchObject({
    PATH: '/bin',
    HOME: '/home',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GOPRIVATE: settings.privatePatterns,
  });
  expect(env['NETRC']).toBeUndefined();
  expect(env['GIT_SSH_COMMAND']).toMatch(
    /^ssh -F \/dev\/null .*'BatchMode=yes'.*'IdentityFile=none' .*'UserKnownHostsFile=\/dev\/null'/,
  );
});

test('key and hosts by settings, in files of any name', () => {
  const files = { sshKeyFile: "/it's a/key", sshKnownHostsFile: '/known_hosts', netrc: '/netrc' };
  const env = goEnvironment({ ...settings, ...files, gitConfig: '/gitconfig' }, '/home');
  expect(env).toMatchObject({ NETRC: '/netrc', GIT_CONFIG_GLOBAL: '/gitconfig' });
  expect(env['GIT_SSH_COMMAND']).toContain(`-o 'IdentityFile="/it'\\''s a/key"'`);
  expect(env['GIT_SSH_COMMAND']).toContain("-o 'UserKnownHostsFile=/known_hosts'");
});

test('Mercurial and Subversion reach hosts by the same key, hosts and authorities', () => {
  const files = { sshKeyFile: '/key', sshKnownHostsFile: '/known_hosts' };
  const outside = { PATH: '/bin', SSL_CERT_FILE: '/authorities.pem' };
  const all = { ...settings, ...files, outside };
  const env = goEnvironment(all, '/home');
  expect(env['HGRCPATH']).toBe(`/home/${HGRC}`);
  expect(env['SVN_SSH']).toBe(env['GIT_SSH_COMMAND']);
  expect(hgrc(all)).toBe(
    `[ui]\nssh = ${env['SVN_SSH'] ?? ''}\n[web]\ncacerts = /authorities.pem\n`,
  );
});
