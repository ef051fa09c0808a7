/** A state with the time since which it holds. */
export type Since = Readonly<{ state: string; sinceMs: number; why: string | undefined }>;

/** One change of a state. */
export type Change = Readonly<{
  atMs: number;
  /** What changed, such as `upstream` and its name. */
  kind: string;
  name: string;
  from: string;
  to: string;
  why: string | undefined;
}>;

/** A state that was observed now. `sinceMs` is set where the observed part knows it itself. */
export type Observed = Readonly<{
  kind: string;
  name: string;
  state: string;
  why?: string | undefined;
  sinceMs?: number | undefined;
}>;

const keptChanges = 20;

type Part = Readonly<{ since: Since; changes: readonly Change[] }>;

const noChanges: readonly Change[] = [];

/**
 * Remembers since when each state holds, and the last 20 changes of each part, so that a part that changes all the time
 * pushes out no others. The parts of the gateway are looked at once a second, so that none of them needs a history of
 * its own.
 */
export class StateHistory {
  #parts = new Map<string, Part>();

  /** Takes all states of one moment. A part that is missing is forgotten. */
  observe(all: readonly Observed[], nowMs: number): void {
    const parts = new Map<string, Part>();
    for (const observed of all) {
      const key = keyOf(observed.kind, observed.name);
      parts.set(key, nextOf(this.#parts.get(key), observed, nowMs));
    }
    this.#parts = parts;
  }

  of(kind: string, name: string): Since | undefined {
    return this.#parts.get(keyOf(kind, name))?.since;
  }

  /** Newest first. */
  changes(): readonly Change[] {
    return [...this.#parts.values()].flatMap(({ changes }) => changes).sort((a, b) => b.atMs - a.atMs);
  }
}

function nextOf(before: Part | undefined, { kind, name, state, why, sinceMs }: Observed, nowMs: number): Part {
  if (before?.since.state === state) {
    const { since, changes } = before;
    return { since: { state, why, sinceMs: sinceMs ?? since.sinceMs }, changes };
  }
  const since = { state, why, sinceMs: sinceMs ?? nowMs };
  if (before === undefined) return { since, changes: noChanges };
  const change = { atMs: since.sinceMs, kind, name, from: before.since.state, to: state, why };
  return { since, changes: [change, ...before.changes].slice(0, keptChanges) };
}

const keyOf = (kind: string, name: string): string => `${kind} ${name}`;
