import { expect, test } from 'vitest';
import { complaint } from '../../../src/go/vcs/complaint.ts';

const folder = '/data/.spool/.vcs/5e0a';

test.for([
  ['go: example.com/x@v1.9.0: invalid version: unknown revision v1.9.0', 'not_found'],
  ['go: example.com/x@latest: no matching versions for query "latest"', 'not_found'],
  [
    "x: invalid version: git ls-remote -q origin in /c: exit status 128:\n\tfatal: repository 'https://example.com/x/' not found",
    'not_found',
  ],
  [
    'unrecognized import path "example.com/x": reading https://example.com/x?go-get=1: 404 Not Found',
    'not_found',
  ],
  [
    "fatal: could not read Username for 'https://github.com': terminal prompts disabled\nConfirm the import path was entered correctly.",
    'upstream_unauthorized',
  ],
  ['git@example.com: Permission denied (publickey).', 'upstream_unauthorized'],
  ['Host key verification failed.\nfatal: Could not read from remote', 'upstream_unauthorized'],
  [
    "fatal: unable to access 'https://example.com/x/': The requested URL returned error: 403",
    'upstream_unauthorized',
  ],
  [
    "x: invalid version: git fetch: exit status 128:\n\tfatal: unable to access 'https://example.com/': Could not resolve host: example.com",
    'upstream_failed',
  ],
  [
    'unrecognized import path "x.test/x": https fetch: Get "https://x.test/x?go-get=1": dial tcp: lookup x.test: no such host',
    'upstream_failed',
  ],
  [
    'https fetch: Get "https://x.test/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    'upstream_failed',
  ],
  [
    "fatal: unable to access 'https://x.test/': The requested URL returned error: 503",
    'upstream_failed',
  ],
  ['x@v1.0.0 requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)', 'upstream_failed'],
  [
    'x: invalid version: git init --bare: exec: "git": executable file not found in $PATH',
    'upstream_failed',
  ],
  ['something nobody has seen', 'upstream_failed'],
  ['', 'upstream_failed'],
] as const)('%s: %s', ([said, code]) => {
  const error = complaint(said, folder);
  expect(error.code).toBe(code);
  expect(error.message).not.toBe('');
});

test('folders of this machine, credentials in addresses and what go says of its work are left out', () => {
  const { message } = complaint(
    [
      'go: downloading example.com/x v1.0.0',
      `go: example.com/x@v1: invalid version: git ls-remote -q origin in ${folder}/go/pkg/mod/cache/vcs/ab12: exit status 128:`,
      "\tfatal: repository 'https://oauth2:glpat-secret@git.example.com/x.git/' not found",
      `open '${folder}/go/pkg/mod/cache/lock': no`,
    ].join('\n'),
    folder,
  );
  expect(message).toBe(
    [
      'example.com/x@v1: invalid version: git ls-remote -q origin: exit status 128:',
      "\tfatal: repository 'https://git.example.com/x.git/' not found",
      "open '…': no",
    ].join('\n'),
  );
});

test('credentials that are missing: the settings that give them are named on the first line', () => {
  const { message } = complaint('fatal: Authentication failed', folder);
  expect(message.split('\n')[0]).toMatch(/LARDER_NETRC.*LARDER_GIT_CONFIG.*LARDER_SSH_KEY_FILE/);
});

test('another key of a host than is known: the setting is named, no file, and none of the alarm', () => {
  const said = [
    'go: example.com/x@v1.0.0: no secure protocol found for repository',
    '@@@@@@@@@@@@@@@@@@@@@@@@',
    '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @',
    '@@@@@@@@@@@@@@@@@@@@@@@@',
    'IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!',
    'Someone could be eavesdropping on you right now (man-in-the-middle attack)!',
    'It is also possible that a host key has just been changed.',
    'The fingerprint for the ED25519 key sent by the remote host is',
    'SHA256:w9LPJCxkW8sGnMfP5LIEkE6n+psF57ejfn01H0J3/aw.',
    'Please contact your system administrator.',
    'Add correct host key in /etc/larder/known_hosts to get rid of this message.',
    'Offending ED25519 key in /etc/larder/known_hosts:1',
    '  remove with:',
    '  ssh-keygen -f "/etc/larder/known_hosts" -R "example.com"',
    'Host key for example.com has changed and you have requested strict checking.',
    'Host key verification failed.',
  ];
  const error = complaint(said.join('\n'), folder);
  expect(error.code).toBe('upstream_unauthorized');
  const [first, ...rest] = error.message.split('\n');
  expect(first).toContain('LARDER_SSH_KNOWN_HOSTS_FILE');
  expect(rest).toEqual([
    'example.com/x@v1.0.0: no secure protocol found for repository',
    'Host key for example.com has changed and you have requested strict checking.',
    'Host key verification failed.',
  ]);
});
