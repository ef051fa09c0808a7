import {
  caller,
  capacity,
  commonErrors,
  type ErrorTable,
  entry,
  AppError as KitError,
  ours,
} from '@countersign/process-kit';
import { preconditionErrors } from '@countersign/service-kit';

export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  insufficient_role: caller(403, 'Your role does not allow this action.'),
  // The auth-service also uses this code.
  fresh_login_required: caller(401, 'Log in again, then retry within five minutes. This action needs a recent login.'),
  insufficient_scope: caller(403, 'The access token lacks a required scope.'),
  not_the_source: caller(403, 'Only the auth-service can change memberships.'),
  illegal_transition: caller(409, 'The complaint cannot move from its current status to this one.'),
  complaint_locked: caller(409, 'This complaint can no longer be changed.'),
  member_active: caller(409, 'This person is an active member. Disable the account first.'),
  erasure_scheduled: caller(409, "This person's erasure is already scheduled."),
  erasure_not_cancellable: caller(409, 'The erasure has already started or was canceled.'),
  name_taken: caller(409, 'Another catalogue entry already has this name.'),
  idempotency_key_reused: caller(
    422,
    'This Idempotency-Key was already used for a different request. Use a new key for each request.',
  ),
  too_many_changes: caller(429, 'You have filed or edited too many complaints. Wait a minute, then try again.', 60),
  unknown_category: caller(422, 'This tenant has no such category.'),
  unknown_team: caller(422, 'This tenant has no such team.'),
  unknown_assignee: caller(422, 'The assignee must be an active agent of this tenant.'),
  unknown_complainant: caller(422, 'The complainant must be an active member of this tenant.'),
  invalid_duplicate: caller(422, 'The complaint cannot be marked as a duplicate of that complaint.'),
  unsupported_file_type: caller(415, 'The file must be a JPEG, PNG or WebP image, a PDF document or plain text.'),
  unreadable_image: caller(422, 'The image is damaged or has too many pixels.'),
  unknown_comment: caller(422, 'You have no such comment on this complaint.'),
  too_many_attachments: caller(409, 'The complaint has reached its limit of 30 attachments.'),
  attachment_space_full: capacity(409, 'Your tenant has used all of its attachment storage.'),
  too_many_attached_bytes: caller(
    429,
    "You have reached the daily size limit for attachments. Remove some of today's attachments, or try again later.",
    3_600,
  ),
  attachment_lost: ours(410, 'The attached file was lost. If you still have it, attach it again.'),
  attachments_busy: capacity(503, 'The server is processing too many images. Try again shortly.', 5),
  too_many_streams: caller(429, 'You have too many event streams open. Close some first.', 30),
  too_many_webhooks: caller(409, 'Your tenant has reached its limit of webhooks.'),
  webhook_has_no_secret: caller(409, 'This webhook has no secret, because it is signed with a published key.'),
  webhook_not_active: caller(409, 'This webhook is paused or disabled. Resume it first.'),
  people_unavailable: entry('upstream')(503, 'Users cannot be looked up right now. Try again shortly.', 2),
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;

/** @throws AppError `not_found` for undefined. */
export function found<T>(row: T | undefined): T {
  if (row === undefined) throw new AppError('not_found');
  return row;
}
