import type { Event, Since } from '@countersign/console';
import { timeOf } from '../describe.ts';

/** A state that was just observed. `since` is set if the observed part knows when the state began. */
export type Observed = Readonly<{
  kind: string;
  name: string;
  state: string;
  why?: string | null | undefined;
  since?: string | undefined;
}>;

type Change = Omit<Event, 'worker'>;

const keptChanges = 20;

type Part = Readonly<{ since: Since; changes: readonly Change[] }>;

/** The limit of 20 changes is per part, so that one part cannot push out the changes of others. */
export class StateHistory {
  #parts = new Map<string, Part>();

  /** Records all states at one moment. Parts that are missing are forgotten. */
  observe(all: readonly Observed[], nowMs: number): void {
    this.#parts = new Map(all.map((observed) => [keyOf(observed), this.#next(observed, nowMs)]));
  }

  of(kind: string, name: string): Since | undefined {
    return this.#parts.get(keyOf({ kind, name }))?.since;
  }

  since(observed: Observed, nowMs: number): Since {
    return this.#next(observed, nowMs).since;
  }

  changes(): readonly Change[] {
    return [...this.#parts.values()].flatMap(({ changes }) => changes);
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
