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

const maxChanges = 200;

/**
 * Remembers since when each state holds, and the last changes. The parts of the gateway are looked at once a second, so
 * that none of them needs a history of its own.
 */
export class StateHistory {
  #states = new Map<string, Since>();
  readonly #changes: Change[] = [];

  /** Takes all states of one moment. A part that is missing is forgotten. */
  observe(all: readonly Observed[], nowMs: number): void {
    const states = new Map<string, Since>();
    for (const { kind, name, state, why, sinceMs } of all) {
      const key = keyOf(kind, name);
      const before = this.#states.get(key);
      const isSame = before?.state === state;
      if (before !== undefined && !isSame) {
        this.#changes.push({ atMs: sinceMs ?? nowMs, kind, name, from: before.state, to: state, why });
      }
      states.set(key, { state, why, sinceMs: sinceMs ?? (isSame ? before.sinceMs : nowMs) });
    }
    this.#states = states;
    this.#changes.splice(0, this.#changes.length - maxChanges);
  }

  of(kind: string, name: string): Since | undefined {
    return this.#states.get(keyOf(kind, name));
  }

  /** The last 200, newest first. */
  changes(): readonly Change[] {
    return this.#changes.toReversed();
  }
}

const keyOf = (kind: string, name: string): string => `${kind} ${name}`;
