import { isStaff, type SignedUser } from '../access.ts';

/** The complaint statuses. The first four are active: work remains to be done. */
export const statuses = [
  'open',
  'assigned',
  'in_progress',
  'reopened',
  'resolved',
  'closed',
  'rejected',
  'duplicate',
  'withdrawn',
] as const;
export type Status = (typeof statuses)[number];
export const activeStatuses: readonly Status[] = ['open', 'assigned', 'in_progress', 'reopened'];
type AtStatus = Readonly<{ status: Status }>;

/** `anyone` includes the complainant. */
type Mover = 'staff' | 'anyone';

const beforeItsEnd = { rejected: 'staff', duplicate: 'staff', withdrawn: 'anyone' } as const;

/** The allowed transitions, and who can make them. Assignments also lead to `open` and `assigned`. */
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

/** Of a resolved complaint, the reason is the answer to the complainant. */
export const statusesWithReason: readonly Status[] = ['resolved', 'rejected', 'duplicate', 'withdrawn', 'reopened'];

/** Whether this caller can move a complaint to that status. The store limits complainants to their own complaints. */
export function judgeTransition(
  caller: SignedUser,
  from: Status,
  to: Status,
): 'allowed' | 'insufficient_role' | 'illegal_transition' {
  const mayMake = (mover: Mover | undefined) => mover === 'anyone' || (mover === 'staff' && isStaff(caller));
  const mover = steps[from][to];
  if (mover !== undefined) return mayMake(mover) ? 'allowed' : 'insufficient_role';
  const mayEver = isStaff(caller) || statuses.some((other) => mayMake(steps[other][to]));
  return mayEver ? 'illegal_transition' : 'insufficient_role';
}

/** Returns the changes that a caller can make to a complaint: none if it is anonymized. */
export function allowedTo(caller: SignedUser, complaint: AtStatus & Readonly<{ erased_at: Date | null }>) {
  const { status, erased_at } = complaint;
  const isErased = erased_at !== null;
  const next = isErased ? [] : nextOf(status).filter((to) => judgeTransition(caller, status, to) === 'allowed');
  return {
    transitions: next.map((to) => ({ to, reason_required: statusesWithReason.includes(to) })),
    edit: !isErased && mayEdit(caller, complaint),
    assign: !isErased && isStaff(caller) && mayBeAssigned(complaint),
  };
}

/** Returns the possible next statuses, for an error message. */
export const nextOf = (from: Status): readonly Status[] => Object.keys(steps[from]) as Status[];

/**
 * Whether the caller can still edit a complaint. Complainants can until work starts. Agents and admins can until the
 * complaint ends.
 */
export function mayEdit(caller: SignedUser, { status }: AtStatus): boolean {
  if (isStaff(caller)) return !hasEnded({ status });
  return status === 'open' || status === 'assigned' || status === 'reopened';
}

export function mayBeAssigned(complaint: AtStatus): boolean {
  return !hasEnded(complaint);
}

export function isActiveStatus({ status }: AtStatus): boolean {
  return activeStatuses.includes(status);
}

/** A complaint that has ended can only be reopened. */
function hasEnded({ status }: AtStatus): boolean {
  return !activeStatuses.includes(status) && status !== 'resolved';
}

/** Returns the status after an assignment. A complaint that is in progress or resolved keeps its status. */
export function afterAssigning(status: Status): Status {
  return status === 'open' || status === 'reopened' ? 'assigned' : status;
}

/** Returns the status after a complaint returns to the queue, where work starts over. */
export function afterUnassigning(status: Status): Status {
  return status === 'assigned' || status === 'in_progress' ? 'open' : status;
}
