import { commonErrors, type ErrorTable, AppError as KitError, preconditionErrors } from '@countersign/service-kit';

/** The error codes of this service. */
export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  illegal_transition: {
    status: 409,
    fault: 'caller',
    title: 'The complaint cannot move from its current status to this one.',
  },
  complaint_locked: { status: 409, fault: 'caller', title: 'The complaint cannot be changed any more.' },
  too_many_changes: {
    status: 429,
    fault: 'caller',
    title: 'You filed or edited too many complaints in a short time. Wait, then try again.',
    retryAfterSec: 60,
  },
  unknown_assignee: {
    status: 422,
    fault: 'caller',
    title: 'This id does not belong to an active agent of this tenant.',
  },
  assignees_unavailable: {
    status: 503,
    fault: 'upstream',
    title: 'The assignee cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
