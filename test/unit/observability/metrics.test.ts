import { statfsSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';

import { Metrics } from '../../../src/observability/metrics.ts';

let metrics: Metrics;
beforeEach(() => {
  metrics = new Metrics();
});

const hit = {
  protocol: 'go',
  method: 'GET',
  status: 200,
  outcome: 'hit',
  bytes: 100,
  ms: 2,
} as const;

/** The samples of one metric as `{labels} value`, without its name. */
async function samples(name: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n');
  return lines
    .filter((line) => new RegExp(`^${name}[{ ]`).test(line))
    .map((line) => line.slice(name.length).trim());
}

describe('requests', () => {
  test('are counted by protocol, method, status and outcome, at each scrape anew', async () => {
    metrics.requestEnded(hit);
    metrics.requestEnded(hit);
    metrics.requestEnded({ ...hit, method: 'HEAD' });
    metrics.requestEnded({ ...hit, status: 404, outcome: 'negative' });
    const expected = [
      '{protocol="go",method="GET",status="200",outcome="hit"} 2',
      '{protocol="go",method="HEAD",status="200",outcome="hit"} 1',
      '{protocol="go",method="GET",status="404",outcome="negative"} 1',
    ];
    expect(await samples('larder_requests_total')).toEqual(expected);
    expect(await samples('larder_requests_total')).toEqual(expected);
  });

  test('have their bytes summed by protocol', async () => {
    metrics.requestEnded(hit);
    metrics.requestEnded({ ...hit, bytes: 23 });
    metrics.requestEnded({ ...hit, protocol: 'control', bytes: 1 });
    expect(await samples('larder_response_bytes_total')).toEqual([
      '{protocol="go"} 123',
      '{protocol="control"} 1',
    ]);
  });

  test('have their durations in seconds', async () => {
    metrics.requestEnded(hit);
    metrics.requestEnded({ ...hit, ms: 4000 });
    const name = 'larder_request_duration_seconds';
    expect(await samples(`${name}_sum`)).toEqual(['{protocol="go",outcome="hit"} 4.002']);
    const buckets = await samples(`${name}_bucket`);
    expect(buckets).toContain('{le="0.001",protocol="go",outcome="hit"} 0');
    expect(buckets).toContain('{le="0.0025",protocol="go",outcome="hit"} 1');
    expect(buckets).toContain('{le="+Inf",protocol="go",outcome="hit"} 2');
  });

  test('with odd methods share one label', async () => {
    for (const method of ['PROPFIND', 'M-SEARCH', 'none'])
      metrics.requestEnded({ ...hit, method, status: 405 });
    expect(await samples('larder_requests_total')).toEqual([
      '{protocol="go",method="other",status="405",outcome="hit"} 3',
    ]);
  });
});

describe('the listener', () => {
  test('counts fills', async () => {
    const key = 'go/secret.corp.test/m/@v/v1.0.0.zip';
    metrics.listener.fillEnded?.({ key, outcome: 'stored', bytes: 1000, ms: 500 });
    metrics.listener.fillEnded?.({ key, outcome: 'failed', code: 'not_found', bytes: 0, ms: 20 });
    expect(await samples('larder_fills_total')).toEqual([
      '{outcome="stored"} 1',
      '{outcome="failed"} 1',
    ]);
    expect(await samples('larder_fill_bytes_total')).toEqual(['1000']);
    expect(await samples('larder_fill_duration_seconds_sum')).toEqual(['0.52']);
    expect(await metrics.text()).not.toContain('secret.corp.test');
  });

  test('counts exchanges with upstreams by host and status', async () => {
    metrics.listener.upstreamAnswered?.({ host: 'proxy.test', status: 200, ms: 30 });
    metrics.listener.upstreamAnswered?.({ host: 'proxy.test', status: 0, ms: 1000 });
    expect(await samples('larder_upstream_requests_total')).toEqual([
      '{host="proxy.test",status="200"} 1',
      '{host="proxy.test",status="0"} 1',
    ]);
    expect(await samples('larder_upstream_request_duration_seconds_count')).toEqual([
      '{host="proxy.test"} 2',
    ]);
  });

  test('keeps the number of hosts small', async () => {
    for (let n = 0; n < 500; n++)
      metrics.listener.upstreamAnswered?.({ host: `h${String(n)}.test`, status: 200, ms: 1 });
    metrics.listener.upstreamAnswered?.({ host: 'h0.test', status: 200, ms: 1 });
    const lines = await samples('larder_upstream_requests_total');
    expect(lines).toHaveLength(51);
    expect(lines).toContain('{host="h0.test",status="200"} 2');
    expect(lines).toContain('{host="other",status="200"} 450');
  });

  test('counts what is stale, unverified, or fails in the store', async () => {
    const key = 'k';
    metrics.listener.staleServed?.({ key, error: new Error('down') });
    metrics.listener.unverified?.({ key, reason: 'no record' });
    metrics.listener.storeFailed?.({ key, operation: 'stash', error: new Error('full') });
    metrics.listener.lockService?.({ up: false, reason: 'gone' });
    metrics.listener.lockService?.({ up: true });
    expect(await samples('larder_lock_service_failures_total')).toEqual(['1']);
    expect(await samples('larder_stale_served_total')).toEqual(['1']);
    expect(await samples('larder_unverified_total')).toEqual(['1']);
    expect(await samples('larder_store_errors_total')).toEqual(['{operation="stash"} 1']);
  });
});

test('fills under way and waiting are asked for at each scrape', async () => {
  let load = { inFlight: 3, queued: 0 };
  metrics.observeFills(() => load);
  expect(await samples('larder_fills_in_flight')).toEqual(['3']);
  load = { inFlight: 1, queued: 9 };
  expect(await samples('larder_fills_in_flight')).toEqual(['1']);
  expect(await samples('larder_fills_queued')).toEqual(['9']);
});

test('disks are looked at at each scrape', async () => {
  metrics.observeDisks({ store: import.meta.dirname, spool: '/nowhere' });
  const { blocks, bsize } = statfsSync(import.meta.dirname);
  expect(await samples('larder_disk_size_bytes')).toEqual([
    `{folder="store"} ${String(blocks * bsize)}`,
    '{folder="spool"} Nan',
  ]);
  expect(await samples('larder_disk_free_bytes')).toEqual([
    expect.stringMatching(/^{folder="store"} \d+$/),
    '{folder="spool"} Nan',
  ]);
});

test('the process and its event loop are there, each registry by itself', async () => {
  const other = new Metrics();
  metrics.requestEnded(hit);
  expect(await metrics.text()).toMatch(/^nodejs_eventloop_lag_seconds /m);
  expect(await metrics.text()).toMatch(/^process_resident_memory_bytes /m);
  expect(await other.text()).not.toContain('outcome="hit"');
  expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
});
