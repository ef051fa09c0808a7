import type { Counted, Lag, Since } from '@countersign/console';
import type { Health } from '@countersign/process-kit';
import type { Traffic } from '../metrics/traffic.ts';
import type { ReloadState } from '../reload/reload.ts';
import type { Snapshot } from '../reload/snapshot.ts';
import type { TokenOutcomes } from '../tokens/token-outcomes.ts';
import { timeOf } from './describe.ts';
import type { ReloadLog } from './observe/reload-log.ts';
import type { StateHistory } from './observe/state-history.ts';

export type ConsoleSources = Readonly<{
  current(): Snapshot;
  health: Health;
  reloadState(): ReloadState;
  traffic: Traffic;
  tokenOutcomes: TokenOutcomes;
  states: StateHistory;
  reloads: ReloadLog;
  /** For each issuer, how long revocations took to take effect. Excludes the first snapshot. */
  lags: ReadonlyMap<string, Lag>;
  openConnections(): number;
  redisStatus(): string | undefined;
  nowMs(): number;
  startedAtMs: number;
  version: string;
}>;

/** Returns the last observed state. Before the first observation, the state is `unknown` since the start. */
export const stateOf = ({ states, startedAtMs }: ConsoleSources, kind: string, name: string, unknown: string): Since =>
  states.of(kind, name) ?? { state: unknown, since: timeOf(startedAtMs), why: null };

/** Leaves out zeros. */
export const countedOf = (counts: Iterable<readonly [name: string, count: number]>): Counted =>
  [...counts].flatMap(([name, count]) => (count === 0 ? [] : { name, count }));
