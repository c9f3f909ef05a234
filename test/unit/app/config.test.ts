import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { loadConfig } from '../../../src/app/config.ts';
import { settingNames } from '../../../src/app/settings.ts';
import { ConfigError } from '../../../src/app/start-error.ts';

/** A PATH on which there is nothing but the `go` that a test puts there. */
let bin: string;
beforeAll(() => {
  bin = mkdtempSync(join(tmpdir(), 'larder-config-'));
});
afterAll(() => {
  rmSync(bin, { recursive: true });
});

const go = { LARDER_GO_UPSTREAM: 'https://proxy.test', LARDER_GO_SUMDB: 'off' };

function problemsOf(env: NodeJS.ProcessEnv, checks = {}): string[] {
  try {
    loadConfig({ PATH: '/nowhere', ...go, ...env }, checks);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.split('\n');
  }
  return [];
}

describe('defaults', () => {
  test('are those of the design', () => {
    expect(loadConfig(go)).toEqual({
      host: '0.0.0.0',
      port: 3000,
      adminPort: undefined,
      tls: undefined,
      storage: 'file',
      storageDir: resolve('data'),
      spoolDir: resolve('data/.spool'),
      migrate: 'manual',
      s3: undefined,
      redisUrl: undefined,
      redisPrefix: 'larder:',
      leaseTimeMs: 10_000,
      peer: undefined,
      go: {
        upstream: 'https://proxy.test',
        private: [],
        readAhead: 'mod',
        sumdb: 'off',
        noSumdb: [],
        sumdbPolicy: 'keep',
        firstByteTimeoutMs: 60_000,
        vcs: {
          netrc: undefined,
          gitConfig: undefined,
          sshKeyFile: undefined,
          sshKnownHostsFile: undefined,
          outside: {},
          timeoutMs: 600_000,
        },
      },
      oci: {
        upstreams:
          'docker.io=https://registry-1.docker.io,ghcr.io=https://ghcr.io,quay.io=https://quay.io,' +
          'gcr.io=https://gcr.io,registry.k8s.io=https://registry.k8s.io,' +
          'mcr.microsoft.com=https://mcr.microsoft.com,public.ecr.aws=https://public.ecr.aws',
        authFile: undefined,
        realms: '',
        firstByteTimeoutMs: 10_000,
      },
      limits: { rateWaitMs: 5000, status: 429 },
      userAgentSuffix: '',
      rulesFile: undefined,
      mode: 'sync',
      offline: false,
      admission: undefined,
      listTtlMs: 60_000,
      tagTtlMs: 60_000,
      negativeTtlMs: 30_000,
      staleIfErrorMs: 7 * 86_400_000,
      stallTimeoutMs: 30_000,
      fillTimeoutMs: 900_000,
      storeTimeoutMs: 10_000,
      drainTimeoutMs: 20_000,
      orphanGraceMs: 3_600_000,
      keepsAll: false,
      adminToken: undefined,
      maxSize: undefined,
      maxAgeMs: undefined,
      collectIntervalMs: 3_600_000,
      logLevel: 'info',
    });
  });

  test('hold for empty values too', () => {
    const empty = Object.fromEntries(settingNames.map((name) => [name, '']));
    expect(loadConfig({ ...empty, ...go })).toEqual(loadConfig(go));
  });

  test('of the spool lie in the storage folder', () => {
    expect(loadConfig({ ...go, LARDER_STORAGE_DIR: '/srv/l' }).spoolDir).toBe('/srv/l/.spool');
  });
});

describe('values', () => {
  test('are read', () => {
    const config = loadConfig({
      ...go,
      LARDER_HOST: '::1',
      LARDER_PORT: '0',
      LARDER_ADMIN_PORT: '0',
      LARDER_TLS_CERT_FILE: 'c.pem',
      LARDER_TLS_KEY_FILE: '/k.pem',
      LARDER_SPOOL_DIR: '/tmp/spool',
      LARDER_GO_PRIVATE: ' corp.test/*, *.git.test ,',
      LARDER_GO_READ_AHEAD: 'all',
      LARDER_GO_SUMDB_POLICY: 'require',
      LARDER_LIST_TTL: '0s',
      LARDER_STALE_IF_ERROR: '365d',
      LARDER_STALL_TIMEOUT: '250ms',
      LARDER_FILL_TIMEOUT: '2h',
      LARDER_LOG_LEVEL: 'silent',
    });
    expect(config).toMatchObject({
      host: '::1',
      port: 0,
      adminPort: 0,
      tls: { certFile: resolve('c.pem'), keyFile: '/k.pem' },
      spoolDir: '/tmp/spool',
      go: { private: ['corp.test/*', '*.git.test'], readAhead: 'all', sumdbPolicy: 'require' },
      listTtlMs: 0,
      staleIfErrorMs: 365 * 86_400_000,
      stallTimeoutMs: 250,
      fillTimeoutMs: 7_200_000,
      logLevel: 'silent',
    });
  });

  test.each([
    ['LARDER_PORT', '65536', /from 1 to 65535/],
    ['LARDER_ADMIN_PORT', 'x', /from 1 to 65535/],
    ['LARDER_ADMIN_PORT', '3000', /is LARDER_PORT too/],
    ['LARDER_PORT', '-1', /from 1 to 65535/],
    ['LARDER_PORT', 'tcp://10.0.0.1:3000', /from 1 to 65535/],
    ['LARDER_HOST', 'a b', /127\.0\.0\.1/],
    ['LARDER_STORAGE', 'disk', /give file or s3/],
    ['LARDER_LEASE_TIME', '10', /30s/],
    ['LARDER_LEASE_TIME', '0s', /1s at least/],
    ['LARDER_LEASE_TIME', '999ms', /1s at least/],
    ['LARDER_GO_READ_AHEAD', 'zip', /none, mod or all/],
    ['LARDER_GO_SUMDB_POLICY', 'maybe', /keep or require/],
    ['LARDER_LOG_LEVEL', 'loud', /trace, debug, info/],
    ['LARDER_LIST_TTL', '60', /30s/],
    ['LARDER_LIST_TTL', '-1s', /30s/],
    ['LARDER_LIST_TTL', '1.5h', /30s/],
    ['LARDER_STALL_TIMEOUT', '25d', /24d at most/],
  ])('%s=%s is refused with a hint', (name, value, hint) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`${name}="${value}"`);
    expect(problems[0]).toMatch(hint);
  });

  const s3 = { LARDER_STORAGE: 's3', LARDER_S3_BUCKET: 'b' };

  test.each<[Record<string, string>, RegExp]>([
    [{ LARDER_STORAGE: 's3' }, /^LARDER_S3_BUCKET is not set/],
    [{ LARDER_S3_BUCKET: 'b' }, /^LARDER_S3_BUCKET is set, and LARDER_STORAGE is not s3/],
    [{ ...s3, LARDER_STORAGE_DIR: '/d' }, /^LARDER_STORAGE_DIR is of LARDER_STORAGE=file/],
    [{ ...s3, LARDER_S3_ACCESS_KEY_ID: 'x' }, /go together/],
    [{ ...s3, LARDER_S3_ENDPOINT: 's3.test' }, /https:\/\/s3.example.com/],
    [{ LARDER_PEER_URL: 'http://a' }, /go together/],
    [{ LARDER_PEER_URL: 'http://a', LARDER_PEER_SECRET: 's' }, /find each other by Redis/],
    [{ ...s3, LARDER_S3_REDIRECT: 'yes' }, /true or false/],
    [{ ...s3, LARDER_S3_DISK_CACHE: '5 GB' }, /50GiB/],
  ])('%j is refused with a hint', (given, hint) => {
    expect(problemsOf(given)).toEqual([expect.stringMatching(hint)]);
  });

  test('S3 keeps bodies in flight in the folder for temporary files', () => {
    const config = loadConfig({ ...go, ...s3, LARDER_PORT: '3001', LARDER_S3_DISK_CACHE: '1GiB' });
    expect(config.spoolDir).toMatch(/larder-3001$/);
    expect(config.s3).toMatchObject({ bucket: 'b', region: 'us-east-1', diskCache: 1024 ** 3 });
  });

  test('TLS takes both files or none', () => {
    expect(problemsOf({ LARDER_TLS_CERT_FILE: '/c' })).toEqual([
      expect.stringMatching(/^LARDER_TLS_KEY_FILE is not set/),
    ]);
    expect(problemsOf({ LARDER_TLS_KEY_FILE: '/k' })).toEqual([
      expect.stringMatching(/^LARDER_TLS_CERT_FILE is not set/),
    ]);
  });

  test.each([['/srv/l'], ['/srv/l/go'], ['/srv/l/x/.spool'], ['/srv'], ['/']])(
    'a spool in %s would meet the store in /srv/l',
    (spool) => {
      const problems = problemsOf({ LARDER_STORAGE_DIR: '/srv/l', LARDER_SPOOL_DIR: spool });
      expect(problems).toEqual([expect.stringContaining('overlaps the store')]);
    },
  );

  test.each([['/srv/l/.tmp'], ['/srv/l2'], ['/var/spool']])('a spool in %s does not', (spool) => {
    expect(problemsOf({ LARDER_STORAGE_DIR: '/srv/l', LARDER_SPOOL_DIR: spool })).toEqual([]);
  });
});

describe('problems', () => {
  test('come all at once, one line each', () => {
    const problems = problemsOf(
      {
        LARDER_PORT: 'x\ny',
        LARDER_PROT: '1',
        LARDER_GO_UPSTREAM: 'nonsense',
        LARDER_GO_SUMDB: 'rubbish',
        LARDER_GO_PRIVATE: 'good,bad[',
        LARDER_TLS_KEY_FILE: '/k',
        LARDER_LIST_TTL: 'soon',
      },
      {
        checkUpstream: () => 'is no list: give one',
        checkSumdb: () => 'is no database: give one',
        checkPattern: (pattern: string) => (pattern === 'bad[' ? 'has no ]' : undefined),
      },
    );
    expect(problems.map((line) => line.split(/[= ]/)[0]).sort()).toEqual([
      'LARDER_GO_PRIVATE',
      'LARDER_GO_SUMDB',
      'LARDER_GO_UPSTREAM',
      'LARDER_LIST_TTL',
      'LARDER_PORT',
      'LARDER_PROT',
      'LARDER_TLS_CERT_FILE',
    ]);
    expect(problems).toContain('LARDER_GO_UPSTREAM="nonsense" is no list: give one.');
    expect(problems).toContain('LARDER_GO_PRIVATE="good,bad[" has a bad pattern: bad[ has no ].');
  });

  test('show no credentials', () => {
    const [problem] = problemsOf(
      { LARDER_GO_UPSTREAM: 'https://me:secret@proxy.test,https://t0ken@b.test' },
      { checkUpstream: () => 'is bad' },
    );
    expect(problem).toContain('https://***@proxy.test');
    expect(problem).not.toMatch(/secret|t0ken/);
  });

  test.each([
    ['ftp://robot:hunter2@proxy.test', 'ftp://***@proxy.test'],
    ['robot:hunter2@proxy.test', '***@proxy.test'],
    ['https://robot:hunter/2@proxy.test:x', 'https://***@proxy.test:x'],
    ['https://a.test,https://robot:hunt@er2@b.test', 'https://a.test,https://***@b.test'],
  ])('show none of a malformed URL either: %s', (upstream, shown) => {
    const bad = { checkUpstream: () => 'is bad' };
    expect(problemsOf({ LARDER_GO_UPSTREAM: upstream }, bad)).toEqual([
      `LARDER_GO_UPSTREAM="${shown}" is bad.`,
    ]);
  });

  test.each([
    ['LARDER_PROT', /did you mean LARDER_PORT\?/],
    ['LARDER_GO_NOSUMBD', /did you mean LARDER_GO_NOSUMDB\?/],
    ['LARDER_STORE_DIR', /did you mean LARDER_STORAGE_DIR\?/],
    ['larder_port', /did you mean LARDER_PORT\?/],
    ['LARDER_PORT_3000_TCP', /enableServiceLinks/],
    ['LARDER_SERVICE_HOST', /enableServiceLinks/],
    ['LARDER_KITCHEN', /not a setting of this version/],
  ])('%s is no setting', (name, hint) => {
    expect(problemsOf({ [name]: '1' })).toEqual([expect.stringMatching(hint)]);
  });

  test('variables of others are none', () => {
    expect(problemsOf({ XLARDER_A: '1', HOME: '/root' })).toEqual([]);
  });
});

describe('a secret in a file', () => {
  const fromFile = (text: string) => {
    const file = join(bin, 'secret');
    writeFileSync(file, text);
    return { LARDER_GO_UPSTREAM: undefined, LARDER_GO_UPSTREAM_FILE: file };
  };

  test('is read, without the white space around it', () => {
    const { upstream } = loadConfig({ ...go, ...fromFile('https://u:p@proxy.test\n') }).go;
    expect(upstream).toBe('https://u:p@proxy.test');
  });

  test('is checked like any other value, and not shown', () => {
    const checks = { checkUpstream: () => 'is bad' };
    expect(problemsOf(fromFile('https://me:secret@proxy.test'), checks)).toEqual([
      'LARDER_GO_UPSTREAM="https://***@proxy.test" is bad.',
    ]);
  });

  test('may be the token of the admin API, which no sentence shows', () => {
    const file = join(bin, 'token');
    writeFileSync(file, 'T0ken-of_/a+test=\n');
    const token = (env: Record<string, string>) => loadConfig({ ...go, ...env }).adminToken;
    expect(token({ LARDER_ADMIN_TOKEN_FILE: file })).toBe('T0ken-of_/a+test=');
    expect(token({ LARDER_ADMIN_TOKEN: '' })).toBeUndefined();
    for (const bad of ['two words', 'sch\u00f6n', 'a\tb'])
      expect(problemsOf({ LARDER_ADMIN_TOKEN: bad })).toEqual([
        'LARDER_ADMIN_TOKEN is no token: give one of printable ASCII characters without spaces.',
      ]);
  });

  test('that cannot be had is told', () => {
    expect(problemsOf({ ...fromFile('x'), LARDER_GO_UPSTREAM_FILE: '/nowhere' })).toEqual([
      expect.stringMatching(/^LARDER_GO_UPSTREAM_FILE="\/nowhere" cannot be read: /),
    ]);
    expect(problemsOf(fromFile('\n'))).toEqual([
      expect.stringMatching(/^LARDER_GO_UPSTREAM_FILE=".*" is empty/),
    ]);
    expect(problemsOf({ ...fromFile('x'), LARDER_GO_UPSTREAM: 'off' })).toEqual([
      expect.stringMatching(/^LARDER_GO_UPSTREAM and LARDER_GO_UPSTREAM_FILE are both set/),
    ]);
  });
});

describe('the proxies of the environment', () => {
  test.each(['http://proxy.test:3128', 'https://u:p@proxy.test', 'socks5://127.0.0.1:1080', ''])(
    '%j will do',
    (value) => {
      expect(problemsOf({ HTTP_PROXY: value, https_proxy: value })).toEqual([]);
    },
  );

  test.each(['proxy.test', 'proxy.test:3128', '127.0.0.1:3128', 'ftp://proxy.test', 'http://'])(
    '%j will not',
    (value) => {
      expect(problemsOf({ HTTPS_PROXY: value })).toEqual([
        expect.stringContaining(`HTTPS_PROXY="${value}" is not usable`),
      ]);
    },
  );

  test('count in lower case first, and show no password', () => {
    const env = { HTTP_PROXY: 'http://proxy.test', http_proxy: 'robot:hunter2@proxy.test' };
    expect(problemsOf(env)).toEqual([
      expect.stringMatching(/^http_proxy="\*\*\*@proxy\.test" is not usable/),
    ]);
  });
});

describe('the go command', () => {
  const fakeGo = (script: string) => {
    const file = join(bin, 'go');
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  };

  test('gives its built-in defaults, whatever its user has set', () => {
    fakeGo(
      `printf '{"GOPROXY":"https://builtin.test,direct","GOSUMDB":"seen %s %s %s %s"}' ` +
        '"${GOPROXY-unset}" "${GOSUMDB-unset}" "${GOFLAGS-unset}" "$GOENV"',
    );
    const env = { PATH: bin, GOPROXY: 'http://larder', GOSUMDB: 'off', GOFLAGS: '-x', GOENV: '/e' };
    expect(loadConfig(env).go).toMatchObject({
      upstream: 'https://builtin.test,direct',
      sumdb: 'seen unset unset unset off',
    });
  });

  test('is overruled by settings, one by one', () => {
    fakeGo(`printf '{"GOPROXY":"https://builtin.test","GOSUMDB":"db.test"}'`);
    const config = loadConfig({ PATH: bin, LARDER_GO_UPSTREAM: 'https://proxy.test' });
    expect(config.go).toMatchObject({ upstream: 'https://proxy.test', sumdb: 'db.test' });
  });

  test('is not needed when all is set', () => {
    fakeGo('exit 1');
    expect(loadConfig({ PATH: bin, ...go }).go).toMatchObject({ upstream: 'https://proxy.test' });
  });

  test('missing, the upstream must be set and the database has its usual name', () => {
    expect(problemsOf({ LARDER_GO_UPSTREAM: undefined })).toEqual([
      expect.stringMatching(/^LARDER_GO_UPSTREAM is not set.*LARDER_GO_UPSTREAM=https:/),
    ]);
    const config = loadConfig({ PATH: '/nowhere', LARDER_GO_UPSTREAM: 'off' });
    expect(config.go.sumdb).toBe('sum.golang.org');
  });

  test.each([['exit 1'], ['echo nonsense'], ['echo null'], ['echo "{}"']])(
    'broken (%s), it counts as missing',
    (script) => {
      fakeGo(script);
      expect(() => loadConfig({ PATH: bin })).toThrow(/^LARDER_GO_UPSTREAM is not set/);
    },
  );
});

describe('.env.example', () => {
  const entry = /^# (?<meaning>[A-Z].*\.)\n# (?<name>LARDER_[A-Z0-9_]+)=(?<value>.*)$/gm;
  const example = [...read('.env.example').matchAll(entry)].map(({ groups = {} }) => ({
    name: groups['name'] ?? '',
    value: groups['value'] ?? '',
    meaning: groups['meaning'],
  }));

  test('says a line about every setting, and about no other', () => {
    expect(example.map(({ name }) => name).sort()).toEqual([...settingNames].sort());
  });

  test('shows the defaults', () => {
    const shown = Object.fromEntries(example.map(({ name, value }) => [name, value]));
    expect(loadConfig({ ...shown, ...go })).toEqual(loadConfig(go));
  });

  test('is what README.md says, word for word', () => {
    const row =
      /^\| `(?<name>LARDER_[A-Z0-9_]+)` +\| (?:`(?<value>[^`]+)`|none) *\| (?<meaning>.*?) *\|$/gm;
    const table = [...read('README.md').matchAll(row)].map(({ groups = {} }) => ({
      name: groups['name'] ?? '',
      value: groups['value'] ?? '',
      meaning: groups['meaning']?.replaceAll('`', ''),
    }));
    expect(table).toEqual(example);
  });
});

function read(file: string): string {
  return readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
}
