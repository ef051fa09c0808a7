import { type Caller, isStaff } from './access.ts';

/** The statuses of a complaint, in the order of the workflow. */
export const statuses = ['open', 'in_progress', 'resolved', 'closed'] as const;
export type Status = (typeof statuses)[number];
type AtStatus = Readonly<{ status: Status }>;

/** The next status of each status. `closed` is final. */
export const nextOf = {
  open: 'in_progress',
  in_progress: 'resolved',
  resolved: 'closed',
  closed: undefined,
} as const satisfies Record<Status, Status | undefined>;

/**
 * Whether this caller may move a complaint there. Agents and admins may make every step. A complainant may make only the
 * last one, which accepts the resolution.
 */
export function judgeTransition(
  caller: Caller,
  from: Status,
  to: Status,
): 'allowed' | 'insufficient_role' | 'illegal_transition' {
  if (!isStaff(caller) && to !== 'closed') return 'insufficient_role';
  return nextOf[from] === to ? 'allowed' : 'illegal_transition';
}

/** Whether the caller may still edit a complaint. Complainants may edit while it is open, agents and admins until it closes. */
export function mayEdit(caller: Caller, { status }: AtStatus): boolean {
  return isStaff(caller) ? status !== 'closed' : status === 'open';
}

/** Whether a complaint can still be assigned. */
export function mayBeAssigned({ status }: AtStatus): boolean {
  return status !== 'closed';
}
