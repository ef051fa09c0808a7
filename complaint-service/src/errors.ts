import { commonErrors, type ErrorTable, AppError as KitError, preconditionErrors } from '@countersign/service-kit';

/** Every code this service answers with. */
export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  illegal_transition: { status: 409, fault: 'caller', title: 'A complaint cannot move there from where it is.' },
  complaint_locked: { status: 409, fault: 'caller', title: 'The complaint cannot be changed any more.' },
  too_many_changes: {
    status: 429,
    fault: 'caller',
    title: 'You filed or edited too many complaints in a short time. Wait, then try again.',
    retryAfterSec: 60,
  },
  unknown_assignee: { status: 422, fault: 'caller', title: 'Nobody who could take the complaint has this id.' },
  assignees_unavailable: {
    status: 503,
    fault: 'upstream',
    title: 'Who may take the complaint cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
