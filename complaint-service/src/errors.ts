import { commonErrors, type ErrorTable, AppError as KitError, preconditionErrors } from '@countersign/service-kit';

/** The error codes of this service. */
export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  not_the_source: { status: 403, fault: 'caller', title: 'Only the auth-service can change memberships.' },
  illegal_transition: {
    status: 409,
    fault: 'caller',
    title: 'The complaint cannot move from its current status to this one.',
  },
  complaint_locked: { status: 409, fault: 'caller', title: 'The complaint cannot be changed any more.' },
  name_taken: { status: 409, fault: 'caller', title: 'Another entry of the catalogue has this name.' },
  idempotency_key_reused: {
    status: 422,
    fault: 'caller',
    title: 'This Idempotency-Key was sent with another request. Use a new key for each request.',
  },
  too_many_changes: {
    status: 429,
    fault: 'caller',
    title: 'You filed or edited too many complaints in a short time. Wait, then try again.',
    retryAfterSec: 60,
  },
  unknown_category: {
    status: 422,
    fault: 'caller',
    title: 'The catalogue of this tenant does not offer this category.',
  },
  unknown_team: { status: 422, fault: 'caller', title: 'No team of this tenant has this id.' },
  unknown_assignee: {
    status: 422,
    fault: 'caller',
    title: 'This id does not belong to an active agent of this tenant.',
  },
  unknown_complainant: {
    status: 422,
    fault: 'caller',
    title: 'This id does not belong to an active member of this tenant.',
  },
  invalid_duplicate: { status: 422, fault: 'caller', title: 'The complaint cannot be a duplicate of this one.' },
  people_unavailable: {
    status: 503,
    fault: 'upstream',
    title: 'A person cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
