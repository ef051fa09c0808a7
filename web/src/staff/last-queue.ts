import { stored } from '../store.ts';
import type { Filters } from './filters.ts';

/** The queue as last seen: its URL, and the order of its complaints. */
export const lastQueue = stored<Readonly<{ filters: Filters; ids: readonly string[]; openId?: string }>>({
  filters: {},
  ids: [],
});

/** Returns the complaint this many places after the given one. */
export function neighborOf(id: string, distance: 1 | -1): string | undefined {
  const { ids } = lastQueue.get();
  const at = ids.indexOf(id);
  return at === -1 ? undefined : ids[at + distance];
}
