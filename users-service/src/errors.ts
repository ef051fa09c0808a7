import { commonErrors, type ErrorTable, AppError as KitError, preconditionErrors } from '@countersign/service-kit';

/** Every code this service answers with. */
export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  acting_user_required: { status: 403, fault: 'caller', title: 'This is answered only for a user.' },
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  not_the_source: { status: 403, fault: 'caller', title: 'Only the auth-service says who is a member.' },
  unknown_user: { status: 404, fault: 'caller', title: 'Nobody in this tenant has this id.' },
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
