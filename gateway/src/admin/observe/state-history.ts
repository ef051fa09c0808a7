/** A state, and when it began. */
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
 * Remembers when each state began, and the last 20 changes of each part. The limit is per part, so that one part cannot
 * push out the changes of others. The states are sampled once a second, so no part of the gateway needs its own history.
 */
export class StateHistory {
  #parts = new Map<string, Part>();

  /** Records all states at one moment. A part that is missing is forgotten. */
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
