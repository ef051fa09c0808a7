import {
  type Durations,
  failureKinds,
  responseClasses,
  summarized,
  TimeSlots,
  type Traffic,
} from '@countersign/admin-api';
import { LRUCache } from 'lru-cache';
import type { RequestMetrics, Series } from './metrics.ts';
import type { RefusalCount, RefusalCounts } from './refusal-counts.ts';

/** The metrics whose counts the history stores. */
type TrafficHistoryOptions = Pick<RequestMetrics, 'durations' | 'upstreamDurations'> &
  Readonly<{ refusals: RefusalCounts }>;

const hourMs = 3_600_000;
const ofProcess = { stepMs: 10_000, length: hourMs / 10_000 };
const ofRoute = { stepMs: 60_000, length: hourMs / 60_000 };
/**
 * How many routes and upstreams have their own history, of 6 KiB each. They are the ones with the most recent
 * requests.
 */
const maxHistories = 1_000;
const firstBucket = responseClasses.length + failureKinds.length;

/**
 * The last hour of traffic: of the process, of each route and of each upstream. It stores differences between the
 * metrics' counts, so requests pay nothing for it.
 */
export class TrafficHistory {
  readonly #options: TrafficHistoryOptions;
  readonly #startedMs: number;
  readonly #all: TimeSlots;
  readonly #routes = new LRUCache<string, TimeSlots>({ max: maxHistories });
  readonly #upstreams = new LRUCache<string, TimeSlots>({ max: maxHistories });
  readonly #columns: number;
  readonly #seen = new Map<Series, Readonly<Pick<Series, 'sum' | 'streams'> & { counts: readonly number[] }>>();
  readonly #seenRefusals = new Map<Readonly<RefusalCount>, Readonly<{ count: number; serverErrors: number }>>();

  /** @param startedMs When the process started. */
  constructor(options: TrafficHistoryOptions, startedMs: number) {
    this.#options = options;
    this.#startedMs = startedMs;
    this.#columns = firstBucket + options.durations.buckets.length + 1;
    this.#all = new TimeSlots({ ...ofProcess, columns: this.#columns });
  }

  /** Adds what was counted since the last call to the current slot. Called every ten seconds and before each read. */
  sample(nowMs: number): void {
    const { durations, upstreamDurations, refusals } = this.#options;
    for (const series of durations.all) {
      const { route = '', status = '' } = series.labels;
      this.#addedTo(series, (bucket, added) => {
        // Streams count as responses, but no bucket contains them.
        if (bucket !== undefined) this.#addToRoute(route, firstBucket + bucket, added, nowMs);
        this.#addToRoute(route, responseClasses.indexOf(classOf(status)), added, nowMs);
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

  ofProcess(nowMs: number): Traffic {
    this.sample(nowMs);
    return this.#read(this.#all, nowMs);
  }

  ofRoute(route: string, nowMs: number): Traffic {
    this.sample(nowMs);
    return this.#read(this.#routes.peek(route) ?? new TimeSlots({ ...ofRoute, columns: this.#columns }), nowMs);
  }

  /** Returns durations from the end of signing to the start of the response. */
  ofUpstream(upstream: string, nowMs: number): Durations {
    this.sample(nowMs);
    const { buckets } = this.#options.upstreamDurations;
    const slots = this.#upstreams.peek(upstream) ?? new TimeSlots({ ...ofRoute, columns: buckets.length + 1 });
    return { bounds_ms: inMs(buckets), counts: slots.read(nowMs).columns };
  }

  /**
   * Returns each route's request counts by status, since the process started. Status 0 means that the client
   * disconnected before the response.
   */
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

  #read(slots: TimeSlots, nowMs: number): Traffic {
    const { startMs, columns } = slots.read(nowMs);
    const named = <Name extends string>(names: readonly Name[], from: number) =>
      Object.fromEntries(names.map((name, at) => [name, columns[from + at] ?? []])) as Record<Name, number[]>;
    const series = {
      start: new Date(startMs).toISOString(),
      step_sec: slots.stepMs / 1000,
      responses: named(responseClasses, 0),
      failures: named(failureKinds, responseClasses.length),
      durations: { bounds_ms: inMs(this.#options.durations.buckets), counts: columns.slice(firstBucket) },
    };
    return summarized(series, nowMs - this.#startedMs);
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

function slotsIn(all: LRUCache<string, TimeSlots>, name: string, columns: number): TimeSlots {
  let slots = all.get(name);
  if (slots === undefined) {
    slots = new TimeSlots({ ...ofRoute, columns });
    all.set(name, slots);
  }
  return slots;
}

const columnOf = (kind: string): number => responseClasses.length + (failureKinds as readonly string[]).indexOf(kind);

/** Returns the class of a status. Status 0 means that the client disconnected before the response started. */
const classOf = (status: string) => responseClasses.find((name) => name[0] === status[0]) ?? 'none';

const inMs = (seconds: readonly number[]): number[] => seconds.map((bound) => bound * 1000);
