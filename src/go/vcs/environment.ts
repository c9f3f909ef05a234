// The environment of the go command: all of it is made here. Nothing of Larder's own gets in but what is named, so no setting of
// a user and no secret of Larder either.

import path from 'node:path';

export interface VcsSettings {
  /** File with credentials for HTTPS, in netrc's format. */
  readonly netrc: string | undefined;
  /** File of git's own configuration, in place of a user's. */
  readonly gitConfig: string | undefined;
  readonly sshKeyFile: string | undefined;
  readonly sshKnownHostsFile: string | undefined;
  /** GOPRIVATE patterns, by commas: for these go allows every kind of version control, else git and hg. */
  readonly privatePatterns: string;
  /** Where programs are found, which proxies and which authorities there are. */
  readonly outside: Readonly<Record<string, string>>;
  /** Longest run of the go command, milliseconds. */
  readonly timeoutMs: number;
}

/** What goes from Larder's environment into that of the go command, and from there into git's. */
export const OUTSIDE = [
  'PATH',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'GIT_SSL_CAINFO', 'GIT_SSL_CAPATH'],
];

/** `home`: a folder for all that it writes. */
export function goEnvironment(settings: VcsSettings, home: string): Record<string, string> {
  const gopath = path.join(home, 'go');
  return {
    ...settings.outside,
    HOME: home,
    TMPDIR: path.join(home, 'tmp'),
    // its complaints are read
    LC_ALL: 'C.UTF-8',
    GOPATH: gopath,
    GOMODCACHE: path.join(gopath, 'pkg/mod'),
    GOCACHE: path.join(home, 'build'),
    GOENV: 'off',
    GOFLAGS: '-modcacherw',
    GOWORK: 'off',
    GO111MODULE: 'on',
    GOTOOLCHAIN: 'local',
    GOPROXY: 'direct',
    // Larder verifies by itself
    GOSUMDB: 'off',
    GOPRIVATE: settings.privatePatterns,
    ...(settings.netrc !== undefined && { NETRC: settings.netrc }),
    ...gitEnvironment(settings),
    HGRCPATH: path.join(home, HGRC),
    SVN_SSH: sshCommand(settings),
  };
}

/** Mercurial's configuration, a file in its home: all that it reads, as it takes no such things from its environment. */
export const HGRC = 'hgrc';
export function hgrc(settings: VcsSettings): string {
  const authorities = settings.outside['SSL_CERT_FILE'];
  return [
    `[ui]\nssh = ${sshCommand(settings)}\n`,
    ...(authorities === undefined ? [] : [`[web]\ncacerts = ${authorities}\n`]),
  ].join('');
}

function gitEnvironment(settings: VcsSettings): Record<string, string> {
  // else git may leave a process behind that tidies up, in a group of its own
  const alone = { 'gc.auto': '0', 'maintenance.auto': 'false' };
  const pairs = Object.entries(alone).flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${String(index)}`, key],
    [`GIT_CONFIG_VALUE_${String(index)}`, value],
  ]);
  return {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: settings.gitConfig ?? '/dev/null',
    GIT_CONFIG_COUNT: String(Object.keys(alone).length),
    ...(Object.fromEntries(pairs) as Record<string, string>),
    GIT_TERMINAL_PROMPT: '0',
    GCM_INTERACTIVE: 'never',
    GIT_SSH_COMMAND: sshCommand(settings),
  };
}

/** ssh looks for keys and hosts in the folder of the user, whatever HOME says: it is told not to. */
function sshCommand({ sshKeyFile, sshKnownHostsFile }: VcsSettings): string {
  const options = [
    'BatchMode=yes',
    'ConnectTimeout=30',
    'ControlMaster=no',
    'IdentitiesOnly=yes',
    `IdentityFile=${sshKeyFile ?? 'none'}`,
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${sshKnownHostsFile ?? '/dev/null'}`,
    'GlobalKnownHostsFile=/dev/null',
  ];
  return ['ssh', '-F', '/dev/null', ...options.map((option) => `-o ${quoted(option)}`)].join(' ');
}

/** For the shell that git and hg give it to; in double quotes for ssh, where a file name may have spaces. */
const quoted = (option: string): string => {
  const [name = '', value = ''] = option.split(/=(.*)/s);
  const word = value.includes(' ') ? `${name}="${value}"` : option;
  return `'${word.replaceAll("'", "'\\''")}'`;
};
