import { z } from 'zod';
import type { Observed, Since, StateHistory } from '../observe/state-history.ts';
import { byName, combine, type Rule, sum } from './merge.ts';

// Shared by several views.

export const time = z.iso.datetime().describe('RFC 3339, UTC.');
export const count = z.int().nonnegative();

export const timeOf = (ms: number): string => new Date(ms).toISOString();
export const timeOrNull = (ms: number | undefined): string | null => (ms === undefined ? null : timeOf(ms));

export const since = z
  .object({ state: z.string(), since: time, why: z.string().nullable() })
  .meta({ id: 'Since' })
  .describe('A state, and when it began.');
export type SinceView = z.output<typeof since>;

/** @param startedAtMs When nothing was observed yet. */
export function sinceOf(observed: Since | undefined, unknown: string, startedAtMs: number): SinceView {
  const { state = unknown, sinceMs = startedAtMs, why } = observed ?? {};
  return { state, since: timeOf(sinceMs), why: why === undefined || why === '' ? null : why };
}

/** A state that is read now; the history knows since when it holds, unless the state says so itself. */
export function sinceNow({ kind, name, state, why = '', sinceMs }: Observed, { states, nowMs }: Clocked): SinceView {
  const known = states.of(kind, name);
  const begun = sinceMs ?? (known?.state === state ? known.sinceMs : nowMs());
  return { state, since: timeOf(begun), why: why === '' ? null : why };
}

type Clocked = Readonly<{ states: StateHistory; nowMs(): number }>;

/** Counts by name, most first. */
export const counted = z.array(z.object({ name: z.string(), count })).describe('Most first.');
export type Counted = z.output<typeof counted>;

export const countedOf = (counts: Iterable<readonly [name: string, count: number]>): Counted =>
  [...counts].map(([name, number]) => ({ name, count: number })).sort((a, b) => b.count - a.count);

type Countable = Readonly<{ count: number }>;

export const mostFirst =
  <Item extends Countable>(rule: Rule<Item[]>): Rule<Item[]> =>
  (lists) =>
    rule(lists).sort((a, b) => b.count - a.count);

export const mergeCounted: Rule<Counted> = mostFirst(byName(({ name }) => name, combine({ count: sum })));
