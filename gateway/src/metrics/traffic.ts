import * as api from '@countersign/console';
import { LRUCache } from 'lru-cache';
import type { RequestRecord } from '../pipeline/request-record.ts';
import type { RequestMetrics, Series } from './metrics.ts';
import { type RefusalCount, RefusalCounts } from './refusal-counts.ts';

/** The most recent requests, in a ring of fixed size. The ring holds the access log's records. */
export class RecentRequests {
  readonly #records: RequestRecord[] = [];
  readonly #size: number;
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  keep(record: RequestRecord): void {
    this.#records[this.#next] = record;
    this.#next = (this.#next + 1) % this.#size;
  }

  newestFirst(): readonly RequestRecord[] {
    return [...this.#records.slice(this.#next), ...this.#records.slice(0, this.#next)].reverse();
  }
}

const keptRequests = 500;
const keptRefusalsPerKind = 250;

/** What a process remembers about its traffic. The size is limited, and the data ends with the process. */
export class Traffic {
  readonly recent = new RecentRequests(keptRequests);
  /**
   * Refused requests are also kept separately, by kind. Under load, the most recent requests would push them out
   * within a second, and anonymous clients could push out the refusals of identified callers.
   */
  readonly #refused = {
    unmatched: new RecentRequests(keptRefusalsPerKind),
    unidentified: new RecentRequests(keptRefusalsPerKind),
    identified: new RecentRequests(keptRefusalsPerKind),
    fault: new RecentRequests(keptRefusalsPerKind),
  };
  readonly refused: readonly RecentRequests[] = Object.values(this.#refused);
  readonly refusals = new RefusalCounts();
  readonly history: TrafficHistory;
  readonly #nowMs: () => number;

  constructor(metrics: Pick<RequestMetrics, 'durations' | 'upstreamDurations'>, nowMs: () => number) {
    this.history = new TrafficHistory({ ...metrics, refusals: this.refusals }, nowMs());
    this.#nowMs = nowMs;
  }

  keep(record: RequestRecord, status: number): void {
    this.recent.keep(record);
    const { code } = record;
    if (code === undefined) return;
    this.#refused[kindOf(record)].keep(record);
    this.refusals.count(record, code, status, this.#nowMs());
  }
}

/**
 * Sorts a refusal into a kind. A client without a valid token fills only the first two kinds. Refusals by a limit go
 * there too, because a caller can cause any number of them.
 */
function kindOf({ fault, route, identity, code }: RequestRecord) {
  if (fault !== 'caller') return 'fault';
  if (route === undefined) return 'unmatched';
  const isIdentified = identity !== undefined && identity !== 'anonymous' && code !== 'rate_limited';
  return isIdentified ? 'identified' : 'unidentified';
}

type TrafficHistoryOptions = Pick<RequestMetrics, 'durations' | 'upstreamDurations'> &
  Readonly<{ refusals: RefusalCounts }>;

const hourMs = 3_600_000;
const ofProcess = { stepMs: 10_000, length: hourMs / 10_000 };
const ofRoute = { stepMs: 60_000, length: hourMs / 60_000 };
/** Routes and upstreams with the most recent requests have their own history, of 6 KiB each. */
const maxHistories = 1_000;
const firstBucket = api.responseClasses.length + api.failureKinds.length;

/** The last hour. Stores differences between the metrics' counts, so requests pay nothing for it. */
class TrafficHistory {
  readonly #options: TrafficHistoryOptions;
  readonly #startedMs: number;
  readonly #all: api.TimeSlots;
  readonly #routes = new LRUCache<string, api.TimeSlots>({ max: maxHistories });
  readonly #upstreams = new LRUCache<string, api.TimeSlots>({ max: maxHistories });
  readonly #columns: number;
  readonly #seen = new Map<Series, Readonly<Pick<Series, 'sum' | 'streams'> & { counts: readonly number[] }>>();
  readonly #seenRefusals = new Map<Readonly<RefusalCount>, Readonly<{ count: number; serverErrors: number }>>();

  constructor(options: TrafficHistoryOptions, startedMs: number) {
    this.#options = options;
    this.#startedMs = startedMs;
    this.#columns = firstBucket + options.durations.buckets.length + 1;
    this.#all = new api.TimeSlots({ ...ofProcess, columns: this.#columns });
  }

  /** Adds what was counted since the last call to the current slot. Called every ten seconds and before each read. */
  sample(nowMs: number): void {
    const { durations, upstreamDurations, refusals } = this.#options;
    for (const series of durations.all) {
      const { route = '', status = '' } = series.labels;
      this.#addedTo(series, (bucket, added) => {
        // Streams count as responses, but no bucket contains them.
        if (bucket !== undefined) this.#addToRoute(route, firstBucket + bucket, added, nowMs);
        this.#addToRoute(route, api.responseClasses.indexOf(classOf(status)), added, nowMs);
        if (status >= '500') this.#addToRoute(route, columnOf('service'), added, nowMs);
      });
    }
    for (const [route, codes] of refusals.routes()) {
      for (const refused of codes.values()) this.#addRefusals(route, refused, nowMs);
    }
    const columns = upstreamDurations.buckets.length + 1;
    for (const series of upstreamDurations.all) {
      this.#addedTo(series, (bucket = 0, added) => {
        slotsIn(this.#upstreams, series.labels.upstream ?? '', columns).add(nowMs, bucket, added);
      });
    }
  }

  ofProcess(nowMs: number): api.Traffic {
    this.sample(nowMs);
    return this.#read(this.#all, nowMs);
  }

  ofRoute(route: string, nowMs: number): api.Traffic {
    this.sample(nowMs);
    return this.#read(this.#routes.peek(route) ?? new api.TimeSlots({ ...ofRoute, columns: this.#columns }), nowMs);
  }

  /** Returns durations from the end of signing to the start of the response. */
  ofUpstream(upstream: string, nowMs: number): api.Durations {
    this.sample(nowMs);
    const { buckets } = this.#options.upstreamDurations;
    const slots = this.#upstreams.peek(upstream) ?? new api.TimeSlots({ ...ofRoute, columns: buckets.length + 1 });
    return { bounds_ms: inMs(buckets), counts: slots.read(nowMs).columns };
  }

  /** Since the process started. Status 0 means that the client disconnected before the response. */
  statuses(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    const byRoute = new Map<string, Map<string, number>>();
    for (const { labels, counts, streams } of this.#options.durations.all) {
      const { route = '', status = '' } = labels;
      const statuses = byRoute.get(route) ?? new Map<string, number>();
      byRoute.set(route, statuses);
      statuses.set(
        status,
        counts.reduce((sum, count) => sum + count, streams),
      );
    }
    return byRoute;
  }

  #read(slots: api.TimeSlots, nowMs: number): api.Traffic {
    const { startMs, columns } = slots.read(nowMs);
    const named = <Name extends string>(names: readonly Name[], from: number) =>
      Object.fromEntries(names.map((name, at) => [name, columns[from + at] ?? []])) as Record<Name, number[]>;
    const series = {
      start: new Date(startMs).toISOString(),
      step_sec: slots.stepMs / 1000,
      responses: named(api.responseClasses, 0),
      failures: named(api.failureKinds, api.responseClasses.length),
      durations: { bounds_ms: inMs(this.#options.durations.buckets), counts: columns.slice(firstBucket) },
    };
    return api.summarized(series, nowMs - this.#startedMs);
  }

  #addedTo(series: Series, report: (bucket: number | undefined, added: number) => void): void {
    const seen = this.#seen.get(series);
    if (series.sum === seen?.sum) return;
    for (const [bucket, count] of series.counts.entries()) {
      const added = count - (seen?.counts[bucket] ?? 0);
      if (added > 0) report(bucket, added);
    }
    const streams = series.streams - (seen?.streams ?? 0);
    if (streams > 0) report(undefined, streams);
    this.#seen.set(series, { sum: series.sum, streams: series.streams, counts: [...series.counts] });
  }

  #addRefusals(route: string, refused: Readonly<RefusalCount>, nowMs: number): void {
    const { fault, count, serverErrors } = refused;
    const seen = this.#seenRefusals.get(refused) ?? { count: 0, serverErrors: 0 };
    if (count === seen.count) return;
    this.#addToRoute(route, columnOf(fault), count - seen.count, nowMs);
    // The service's column contains all 5xx responses so far. This subtracts the gateway's own.
    this.#addToRoute(route, columnOf('service'), seen.serverErrors - serverErrors, nowMs);
    this.#seenRefusals.set(refused, { count, serverErrors });
  }

  #addToRoute(route: string, column: number, count: number, nowMs: number): void {
    this.#all.add(nowMs, column, count);
    slotsIn(this.#routes, route, this.#columns).add(nowMs, column, count);
  }
}

function slotsIn(all: LRUCache<string, api.TimeSlots>, name: string, columns: number): api.TimeSlots {
  let slots = all.get(name);
  if (slots === undefined) {
    slots = new api.TimeSlots({ ...ofRoute, columns });
    all.set(name, slots);
  }
  return slots;
}

const columnOf = (kind: string): number =>
  api.responseClasses.length + (api.failureKinds as readonly string[]).indexOf(kind);

/** Returns the class of a status. Status 0 means that the client disconnected before the response started. */
const classOf = (status: string) => api.responseClasses.find((name) => name[0] === status[0]) ?? 'none';

const inMs = (seconds: readonly number[]): number[] => seconds.map((bound) => bound * 1000);
