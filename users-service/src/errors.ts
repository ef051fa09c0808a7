import { commonErrors, type ErrorTable, AppError as KitError, preconditionErrors } from '@countersign/service-kit';

/** The error codes of this service. */
export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  acting_user_required: { status: 403, fault: 'caller', title: 'The calling service must act on behalf of a user.' },
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  insufficient_scope: { status: 403, fault: 'caller', title: 'The access token lacks a required scope.' },
  not_a_mailer: { status: 403, fault: 'caller', title: 'Only the complaint-service can read email addresses.' },
  not_the_source: { status: 403, fault: 'caller', title: 'Only the auth-service can change memberships.' },
  unknown_user: { status: 404, fault: 'caller', title: 'This tenant has no user with this id.' },
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
