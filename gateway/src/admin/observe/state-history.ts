import type { Event, Since } from '@countersign/admin-api';
import { timeOf } from '../describe.ts';

/** A state that was just observed. `since` is set if the observed part knows when the state began. */
export type Observed = Readonly<{
  kind: string;
  name: string;
  state: string;
  why?: string | null | undefined;
  since?: string | undefined;
}>;

/** One state change. */
type Change = Omit<Event, 'worker'>;

const keptChanges = 20;

type Part = Readonly<{ since: Since; changes: readonly Change[] }>;

/**
 * Remembers when each state began, and the last 20 changes of each part. The limit is per part, so that one part
 * cannot push out the changes of others. The states are sampled once a second, so no part of the gateway needs its own
 * history.
 */
export class StateHistory {
  #parts = new Map<string, Part>();

  /** Records all states at one moment. Parts that are missing are forgotten. */
  observe(all: readonly Observed[], nowMs: number): void {
    this.#parts = new Map(all.map((observed) => [keyOf(observed), this.#next(observed, nowMs)]));
  }

  /** The last observed state. */
  of(kind: string, name: string): Since | undefined {
    return this.#parts.get(keyOf({ kind, name }))?.since;
  }

  /** When the current state began. */
  since(observed: Observed, nowMs: number): Since {
    return this.#next(observed, nowMs).since;
  }

  /** Newest first. */
  changes(): readonly Change[] {
    return [...this.#parts.values()].flatMap(({ changes }) => changes).sort((a, b) => (a.at < b.at ? 1 : -1));
  }

  #next(observed: Observed, nowMs: number): Part {
    const { kind, name, state, since: begun } = observed;
    const why = observed.why || null;
    const before = this.#parts.get(keyOf(observed));
    if (before?.since.state === state) return { ...before, since: { state, since: begun ?? before.since.since, why } };
    const since = { state, since: begun ?? timeOf(nowMs), why };
    if (before === undefined) return { since, changes: [] };
    const change = { at: since.since, kind, name, from: before.since.state, to: state, why };
    return { since, changes: [change, ...before.changes].slice(0, keptChanges) };
  }
}

const keyOf = ({ kind, name }: Pick<Observed, 'kind' | 'name'>): string => `${kind} ${name}`;
