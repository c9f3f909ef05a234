import { expect, test } from 'vitest';
import { composeLimits } from '../../../src/app/compose-limits.ts';
import type { LimitRule } from '../../../src/app/rules-file.ts';

const upstreams = 'docker.io=http://hub.test:5000,ghcr.io=https://ghcr.test/base';
const hub = { intervalMs: 300, burst: 200 };
const rate = { intervalMs: 1000, burst: 5 };

test('the name of a registry stands for the host that it points to', () => {
  const rules = new Map<string, LimitRule>([
    ['ghcr.io', { rate, sockets: 3 }],
    ['proxy.test', { sockets: 2 }],
  ]);
  const limits = composeLimits(upstreams, { limits: () => rules });
  expect(limits.of('hub.test:5000')).toEqual({ rate: hub, sockets: undefined });
  expect(limits.of('ghcr.test')).toEqual({ rate, sockets: 3 });
  expect(limits.of('proxy.test')).toEqual({ rate: undefined, sockets: 2 });
  for (const host of ['docker.io', 'ghcr.io', 'hub.test', 'elsewhere.test'])
    expect(limits.of(host)).toBeUndefined();
});

test('Docker Hub has its own rate, another, or none; read again when it is said', () => {
  let rules = new Map<string, LimitRule>([['docker.io', { sockets: 9 }]]);
  const limits = composeLimits(upstreams, { limits: () => rules });
  expect(limits.of('hub.test:5000')).toEqual({ rate: hub, sockets: 9 });
  rules = new Map([['docker.io', { rate: 'off' }]]);
  expect(limits.of('hub.test:5000')?.rate).toEqual(hub);
  limits.renew();
  expect(limits.of('hub.test:5000')?.rate).toBeUndefined();
  rules = new Map([['docker.io', { rate }]]);
  limits.renew();
  expect(limits.of('hub.test:5000')?.rate).toEqual(rate);
});
