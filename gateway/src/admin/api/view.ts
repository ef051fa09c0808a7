import type { Endpoint, Health } from '@countersign/service-kit';
import { z } from 'zod';
import type { Traffic } from '../../metrics/traffic.ts';
import type { ReloadState } from '../../reload/reload.ts';
import type { Snapshot } from '../../reload/snapshot.ts';
import type { TokenOutcomes } from '../../tokens/token-outcomes.ts';
import type { ReloadLog } from '../observe/reload-log.ts';
import type { StateHistory } from '../observe/state-history.ts';

/** How long revocations of one issuer took to come into force since the process started. Those of a first snapshot do not count. */
export type Lag = Readonly<{ last_ms: number; max_ms: number; count: number; last_at: string }>;
/** By issuer. */
export type Lags = ReadonlyMap<string, Lag>;

/** The sources of the console of one process. */
export type ConsoleSources = Readonly<{
  current(): Snapshot;
  health: Health;
  reloadState(): ReloadState;
  traffic: Traffic;
  tokenOutcomes: TokenOutcomes;
  states: StateHistory;
  reloads: ReloadLog;
  lags: Lags;
  /** WebSockets and event streams that are open. */
  openConnections(): number;
  /** Undefined without Redis. */
  redisStatus(): string | undefined;
  nowMs(): number;
  startedAtMs: number;
  version: string;
}>;

/** The values of a request to a view: its path parameters and its query. */
export type ViewQuery = Readonly<Record<string, string | undefined>>;

/** A repeated parameter counts once. Spaces around a value come from copying it. An empty value counts as absent. */
export const givenIn = (parameters: URLSearchParams): ViewQuery =>
  Object.fromEntries([...parameters].map(([name, value]) => [name, value.trim() || undefined]));

/** One view of the gateway: read in each process, and merged by the primary of several workers. */
export type View<Data = unknown> = Readonly<{
  /** The route under `/api`, with the schemas of its query and its response. */
  endpoint: Endpoint & Readonly<{ query: z.ZodObject }>;
  /** @returns Undefined if the item does not exist, which is a 404. */
  read(sources: ConsoleSources, query: ViewQuery): Data | undefined;
  /** @param parts At least one, of one process each. */
  merge(parts: readonly Data[], query: ViewQuery): Data;
  /** Writes the number of its worker into the data of one process. */
  number?(part: Data, worker: number): Data;
}>;

const worker = z
  .string()
  .regex(/^[1-9]\d{0,3}$/, 'must be the number of a worker')
  .optional()
  .describe('One of several workers, by its number.');

type ViewParts<Schema extends z.ZodType> = Readonly<{
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  /** The names of its query, besides `worker`. */
  query?: z.ZodRawShape;
  response: Schema;
}> &
  Pick<View<z.output<Schema>>, 'read' | 'merge' | 'number'>;

/** Declares a view. */
export function defineView<Schema extends z.ZodType>(parts: ViewParts<Schema>): View<z.output<Schema>> {
  const { path, operationId, tag, summary, query, response, read, merge, number } = parts;
  const endpoint = {
    method: 'get' as const,
    path: `/api${path}`,
    operationId,
    tag,
    summary,
    callers: ['anonymous'] as const,
    query: z.strictObject({ ...query, worker }),
    responses: { 200: response },
    errors: [],
  };
  return { endpoint, read, merge, ...(number && { number }) };
}
