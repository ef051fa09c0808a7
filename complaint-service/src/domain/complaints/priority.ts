/** Priorities, from low to urgent. The database stores their position, so that it can sort by them. */
export const priorities = ['low', 'normal', 'high', 'urgent'] as const;
export type Priority = (typeof priorities)[number];

export const priorityRank = (priority: Priority): number => priorities.indexOf(priority);

export function priorityOf(rank: number): Priority {
  const priority = priorities[rank];
  if (priority === undefined) throw new RangeError(`no priority has the rank ${rank}`);
  return priority;
}
