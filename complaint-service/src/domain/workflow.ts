import { type Caller, isStaff } from './access.ts';

/** Where a complaint can be, in the order it moves. */
export const statuses = ['open', 'in_progress', 'resolved', 'closed'] as const;
export type Status = (typeof statuses)[number];
type AtStatus = Readonly<{ status: Status }>;

/** One way, one step at a time. Nothing leaves `closed`. */
export const nextOf = {
  open: 'in_progress',
  in_progress: 'resolved',
  resolved: 'closed',
  closed: undefined,
} as const satisfies Record<Status, Status | undefined>;

/**
 * Whether this caller may move a complaint there. Agents and admins make every step; a complainant makes the last one, which
 * says that they are content.
 */
export function judgeTransition(
  caller: Caller,
  from: Status,
  to: Status,
): 'allowed' | 'insufficient_role' | 'illegal_transition' {
  if (!isStaff(caller) && to !== 'closed') return 'insufficient_role';
  return nextOf[from] === to ? 'allowed' : 'illegal_transition';
}

/** Whether this caller may still change what a complaint says: its complainant until somebody works on it. */
export function mayEdit(caller: Caller, { status }: AtStatus): boolean {
  return isStaff(caller) ? status !== 'closed' : status === 'open';
}

/** Whether a complaint can still be given to somebody. */
export function mayBeAssigned({ status }: AtStatus): boolean {
  return status !== 'closed';
}
