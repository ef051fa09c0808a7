import { caller, commonErrors, type ErrorTable, AppError as KitError } from '@countersign/process-kit';
import { preconditionErrors } from '@countersign/service-kit';

export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  acting_user_required: caller(403, 'The calling service must act on behalf of a user.'),
  insufficient_role: caller(403, 'Your role does not allow this action.'),
  insufficient_scope: caller(403, 'The access token lacks a required scope.'),
  not_a_mailer: caller(403, 'Only the complaint-service can read email addresses.'),
  not_the_source: caller(403, 'Only the auth-service can change memberships.'),
  unknown_user: caller(404, 'This tenant has no such user.'),
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
