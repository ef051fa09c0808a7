import type { Status } from './client.ts';

type Mover = 'staff' | 'anyone';

const beforeItsEnd = { rejected: 'staff', duplicate: 'staff', withdrawn: 'anyone' } as const;

/** A copy of the complaint-service's workflow, which is authoritative. A test compares the two. */
export const steps: Readonly<Record<Status, Partial<Record<Status, Mover>>>> = {
  open: { in_progress: 'staff', ...beforeItsEnd },
  assigned: { in_progress: 'staff', ...beforeItsEnd },
  in_progress: { resolved: 'staff', ...beforeItsEnd },
  reopened: { in_progress: 'staff', ...beforeItsEnd },
  resolved: { closed: 'anyone', reopened: 'anyone' },
  closed: { reopened: 'staff' },
  rejected: { reopened: 'staff' },
  duplicate: { reopened: 'staff' },
  withdrawn: { reopened: 'staff' },
};

export const statuses = Object.keys(steps) as Status[];
export const activeStatuses: readonly Status[] = ['open', 'assigned', 'in_progress', 'reopened'];
export const statusesWithReason: readonly Status[] = ['rejected', 'duplicate', 'withdrawn', 'reopened'];

/** Returns the statuses to which a caller can move a complaint. */
export function nextStatuses(from: Status, caller: 'staff' | 'complainant'): Status[] {
  const next = Object.entries(steps[from]) as [Status, Mover][];
  return next.filter(([, mover]) => caller === 'staff' || mover === 'anyone').map(([to]) => to);
}

/** Whether a complaint can be assigned. */
export const isAssignable = (status: Status): boolean => activeStatuses.includes(status) || status === 'resolved';
