import { z } from 'zod';
import type { Observed, Since, StateHistory } from '../observe/state-history.ts';

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

/**
 * The worst state of several processes, from when the first of them had it.
 *
 * @param order From good to bad. A state that is not listed is the worst.
 */
export function worst(states: readonly SinceView[], order: readonly string[]): SinceView {
  const rank = ({ state }: SinceView) => (order.indexOf(state) === -1 ? order.length : order.indexOf(state));
  const [first] = states.toSorted((a, b) => rank(b) - rank(a) || (a.since < b.since ? -1 : 1));
  if (first === undefined) throw new Error('no states');
  return first;
}

/** Groups by name, in the order of the first appearance. */
export function grouped<Item>(items: Iterable<Item>, nameOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const name = nameOf(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** Adds lists element by element. */
export const added = (lists: readonly (readonly number[])[]): number[] =>
  (lists[0] ?? []).map((_, at) => sum(lists.map((list) => list[at] ?? 0)));

/** RFC 3339 times in UTC sort like texts. At least one. */
export const earliest = (times: readonly string[]): string => times.toSorted()[0] ?? '';
export const latest = (times: readonly string[]): string => times.toSorted().at(-1) ?? '';

/** Counts by name, most first. */
export const counted = z.array(z.object({ name: z.string(), count })).describe('Most first.');
export type Counted = z.output<typeof counted>;

export const countedOf = (counts: Iterable<readonly [name: string, count: number]>): Counted =>
  [...counts].map(([name, number]) => ({ name, count: number })).sort((a, b) => b.count - a.count);

export const mergeCounted = (parts: readonly Counted[]): Counted =>
  countedOf(
    grouped(parts.flat(), ({ name }) => name).map(
      (same) => [same[0]?.name ?? '', sum(same.map((one) => one.count))] as const,
    ),
  );
