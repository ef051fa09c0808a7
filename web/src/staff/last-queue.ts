import { stored } from '../store.ts';
import type { Filters } from './filters.ts';

/** The queue as it was last seen: where to go back to, and what comes before and after a complaint. */
export const lastQueue = stored<Readonly<{ filters: Filters; ids: readonly string[]; openId?: string }>>({
  filters: {},
  ids: [],
});

/** The complaint that is so many places after this one. */
export function neighborOf(id: string, distance: 1 | -1): string | undefined {
  const { ids } = lastQueue.get();
  const at = ids.indexOf(id);
  return at === -1 ? undefined : ids[at + distance];
}
