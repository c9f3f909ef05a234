// What Prometheus is told: an own registry of prom-client, filled by the server and, as a listener, by the engine.
// No label ever holds a name of a module or an image: label values come from small fixed sets.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

import type { CacheOutcome } from '../engine/errors.ts';
import type { Listener } from '../engine/ports.ts';
import { Disk, type DiskSpace } from './disk.ts';

/** One request that is over. */
export interface RequestSample {
  readonly protocol: string;
  readonly method: string;
  readonly status: number;
  readonly outcome: CacheOutcome;
  /** Of the body. */
  readonly bytes: number;
  readonly ms: number;
  /** Where it came from first. */
  readonly upstream?: string | undefined;
}

/** What an upstream was not asked for. */
interface Saved {
  hits: number;
  bytes: number;
}

export interface FillLoad {
  readonly inFlight: number;
  readonly queued: number;
}

const requestBuckets = [0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5, 30, 120, 600];
const transferBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900];

/** Redirects of upstreams may lead anywhere: hosts past this many share one label. */
const mostHosts = 50;

type RequestTimer = Pick<Histogram.Internal<'protocol' | 'outcome'>, 'observe'>;

export class Metrics {
  readonly contentType: string;
  /** Tells the registry what the engine and the upstream client did. */
  readonly listener: Listener;
  readonly #registry = new Registry();
  readonly #requests = new RequestCounts();
  readonly #duration: Histogram<'protocol' | 'outcome'>;
  readonly #durations = new Map<string, Map<CacheOutcome, RequestTimer>>();

  constructor() {
    const registers = [this.#registry];
    this.contentType = this.#registry.contentType;
    collectDefaultMetrics({ register: this.#registry });
    this.#requests.register(registers);
    this.#duration = new Histogram({
      name: 'larder_request_duration_seconds',
      help: 'Time from the head of a request to the end of its answer.',
      labelNames: ['protocol', 'outcome'],
      buckets: requestBuckets,
      registers,
    });
    this.listener = engineListener(registers);
  }

  /** Counts a request that is over. On the way of every hit: what it needs is looked up once and kept. */
  requestEnded(sample: RequestSample): void {
    this.#requests.add(sample);
    let outcomes = this.#durations.get(sample.protocol);
    if (outcomes === undefined) {
      outcomes = new Map<CacheOutcome, RequestTimer>();
      this.#durations.set(sample.protocol, outcomes);
    }
    let child = outcomes.get(sample.outcome);
    if (child === undefined) {
      child = this.#duration.labels(sample.protocol, sample.outcome);
      outcomes.set(sample.outcome, child);
    }
    child.observe(sample.ms / 1000);
  }

  /** Has `read` asked for the fills under way and those waiting for their turn, at each scrape. Called once. */
  observeFills(read: () => FillLoad): void {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, pick: (load: FillLoad) => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(pick(read()));
        },
      });
    gauge('larder_fills_in_flight', 'Fills under way.', (load) => load.inFlight);
    gauge('larder_fills_queued', 'Fills that wait for their turn.', (load) => load.queued);
  }

  /** Requests by whether the store had what they asked for, and what that saved. */
  traffic() {
    return this.#requests.traffic();
  }

  /** Has `read` asked for the bytes in the store at each scrape; undefined: not known. Called once. */
  observeSize(read: () => number | undefined): void {
    new Gauge({
      name: 'larder_store_bytes',
      help: 'Bytes of content in the store.',
      registers: [this.#registry],
      collect() {
        this.set(read() ?? Number.NaN);
      },
    });
  }

  /** Has the disks of `folders`, by what they are for, looked at at each scrape; not a number: not known. Called once. */
  observeDisks(folders: Readonly<Record<string, string>>): void {
    const disks = Object.entries(folders).map(([folder, path]) => ({
      folder,
      disk: new Disk(path),
    }));
    const gauge = (name: string, help: string, pick: (space: DiskSpace) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['folder'],
        registers: [this.#registry],
        async collect() {
          for (const { folder, disk } of disks) {
            const space = await disk.space();
            this.set({ folder }, space ? pick(space) : Number.NaN);
          }
        },
      });
    gauge('larder_disk_size_bytes', 'Size of the disk that a folder is on.', ({ size }) => size);
    gauge('larder_disk_free_bytes', 'Room that is left on that disk.', ({ free }) => free);
  }

  /** Everything in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

interface RequestSeries {
  readonly protocol: string;
  readonly method: string;
  readonly status: number;
  readonly outcome: CacheOutcome;
  count: number;
}

/**
 * Requests and body bytes as plain numbers, handed to prom-client at a scrape: its counters hash their labels on
 * every call, which a hit would feel.
 */
class RequestCounts {
  readonly #series: RequestSeries[] = [];
  readonly #bytes = new Map<string, number>();
  readonly #saved = new Map<string, Saved>();

  add({ protocol, method, status, outcome, bytes, upstream }: RequestSample): void {
    if (upstream !== undefined && fromStore.has(outcome)) this.#save(upstream, bytes);
    const known = methods.has(method) ? method : 'other';
    this.#seriesOf(protocol, known, status, outcome).count++;
    this.#bytes.set(protocol, (this.#bytes.get(protocol) ?? 0) + bytes);
  }

  traffic() {
    const of = (outcomes: ReadonlySet<CacheOutcome>) =>
      this.#series
        .filter(({ outcome }) => outcomes.has(outcome))
        .reduce((sum, { count }) => sum + count, 0);
    const upstreams = [...this.#saved].map(([name, { hits, bytes }]) => ({
      name,
      hits,
      bytesSaved: bytes,
    }));
    return { hits: of(fromStore), misses: of(fromUpstream), upstreams };
  }

  #save(upstream: string, bytes: number): void {
    let saved = this.#saved.get(upstream);
    if (saved === undefined) {
      const label = this.#saved.size < mostHosts ? upstream : 'other';
      saved = this.#saved.get(label) ?? { hits: 0, bytes: 0 };
      this.#saved.set(label, saved);
    }
    saved.hits++;
    saved.bytes += bytes;
  }

  register(registers: Registry[]): void {
    const series = this.#series;
    const bytesOf = this.#bytes;
    const savedOf = this.#saved;
    new Counter({
      name: 'larder_saved_bytes_total',
      help: 'Bytes of bodies that came out of the store, by the upstream that did not have to send them.',
      labelNames: ['upstream'],
      registers,
      collect() {
        this.reset();
        for (const [upstream, { bytes }] of savedOf) this.inc({ upstream }, bytes);
      },
    });
    new Counter({
      name: 'larder_requests_total',
      help: 'Requests answered, or broken off, by what came of them.',
      labelNames: ['protocol', 'method', 'status', 'outcome'],
      registers,
      collect() {
        this.reset();
        for (const { count, ...labels } of series) this.inc(labels, count);
      },
    });
    new Counter({
      name: 'larder_response_bytes_total',
      help: 'Bytes of bodies sent to clients.',
      labelNames: ['protocol'],
      registers,
      collect() {
        this.reset();
        for (const [protocol, bytes] of bytesOf) this.inc({ protocol }, bytes);
      },
    });
  }

  /** There are few combinations and the common ones come first, so that a walk beats a key made of strings. */
  #seriesOf(
    protocol: string,
    method: string,
    status: number,
    outcome: CacheOutcome,
  ): RequestSeries {
    for (const one of this.#series) {
      if (
        one.status === status &&
        one.outcome === outcome &&
        one.protocol === protocol &&
        one.method === method
      )
        return one;
    }
    const made = { protocol, method, status, outcome, count: 0 };
    this.#series.push(made);
    return made;
  }
}

const fromStore: ReadonlySet<CacheOutcome> = new Set(['hit', 'stale', 'revalidated', 'redirect']);
const fromUpstream: ReadonlySet<CacheOutcome> = new Set(['miss']);

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']);

function engineListener(registers: Registry[]): Listener {
  const counter = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
    new Counter({ name, help, labelNames, registers });
  const fills = counter('larder_fills_total', 'Fills that ended, by how.', 'outcome');
  const fillBytes = counter('larder_fill_bytes_total', 'Bytes that fills brought in.');
  const fillSeconds = new Histogram({
    name: 'larder_fill_duration_seconds',
    help: 'Time from the start of a fill to its end.',
    buckets: transferBuckets,
    registers,
  });
  const upstreamRequests = counter(
    'larder_upstream_requests_total',
    'Exchanges with upstreams, each try by itself; status 0: no answer came.',
    'host',
    'status',
  );
  const upstreamSeconds = new Histogram({
    name: 'larder_upstream_request_duration_seconds',
    help: 'Time of an exchange with an upstream.',
    labelNames: ['host'],
    buckets: transferBuckets,
    registers,
  });
  const held = counter(
    'larder_upstream_held_total',
    'Requests that were not sent: rate, as the host is asked too often; down, as it cannot be reached.',
    'host',
    'why',
  );
  const hostGauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['host'], registers });
  const limit = hostGauge(
    'larder_upstream_ratelimit_limit',
    'Requests that an upstream allows, as it told last.',
  );
  const remaining = hostGauge(
    'larder_upstream_ratelimit_remaining',
    'Requests that are left of them, as it told last.',
  );
  const down = hostGauge(
    'larder_upstream_down',
    '1 while an upstream is left alone, as it failed again and again.',
  );
  const stale = counter('larder_stale_served_total', 'Stale answers served for a failed upstream.');
  const storeErrors = counter('larder_store_errors_total', 'Failures of the store.', 'operation');
  const unverified = counter(
    'larder_unverified_total',
    'Content kept on which the checksum database had no say.',
  );
  const lockFailures = counter(
    'larder_lock_service_failures_total',
    'Times that Redis went away, and locks held within this process alone.',
  );
  const evicted = counter('larder_evicted_total', 'Units evicted.');
  const evictedBytes = counter('larder_evicted_bytes_total', 'Bytes that evictions freed.');
  const hostLabel = bounded(mostHosts);
  return {
    fillEnded({ outcome, bytes, ms }) {
      fills.inc({ outcome });
      fillBytes.inc(bytes);
      fillSeconds.observe(ms / 1000);
    },
    upstreamAnswered({ host, status, ms }) {
      const label = hostLabel(host);
      upstreamRequests.inc({ host: label, status: String(status) });
      upstreamSeconds.observe({ host: label }, ms / 1000);
    },
    upstreamHeld({ host, why }) {
      held.inc({ host: hostLabel(host), why });
    },
    upstreamLimit({ host, ...told }) {
      if (told.limit !== undefined) limit.set({ host: hostLabel(host) }, told.limit);
      if (told.remaining !== undefined) remaining.set({ host: hostLabel(host) }, told.remaining);
    },
    upstreamDown({ host, isDown }) {
      down.set({ host: hostLabel(host) }, isDown ? 1 : 0);
    },
    evicted({ bytes }) {
      evicted.inc();
      evictedBytes.inc(bytes);
    },
    staleServed() {
      stale.inc();
    },
    storeFailed({ operation }) {
      storeErrors.inc({ operation });
    },
    lockService({ up }) {
      if (!up) lockFailures.inc();
    },
    unverified() {
      unverified.inc();
    },
  };
}

/** Passes the first `most` different words, and says `other` for all that come later. */
function bounded(most: number): (word: string) => string {
  const seen = new Set<string>();
  return (word) => {
    if (seen.size < most) seen.add(word);
    return seen.has(word) ? word : 'other';
  };
}
