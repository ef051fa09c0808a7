import { commonErrors, type ErrorTable, AppError as KitError, preconditionErrors } from '@countersign/service-kit';

/** The error codes of this service. */
export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  // The auth-service has the same code, for the second factor.
  fresh_login_required: {
    status: 401,
    fault: 'caller',
    title: 'This action needs a recent login. Log in again, then retry within five minutes.',
  },
  insufficient_scope: { status: 403, fault: 'caller', title: 'The access token lacks a required scope.' },
  not_the_source: { status: 403, fault: 'caller', title: 'Only the auth-service can change memberships.' },
  illegal_transition: {
    status: 409,
    fault: 'caller',
    title: 'The complaint cannot move from its current status to this one.',
  },
  complaint_locked: { status: 409, fault: 'caller', title: 'This complaint can no longer be changed.' },
  member_active: {
    status: 409,
    fault: 'caller',
    title: 'This person is an active member. Disable the account first.',
  },
  erasure_scheduled: { status: 409, fault: 'caller', title: "This person's erasure is already scheduled." },
  erasure_not_cancellable: {
    status: 409,
    fault: 'caller',
    title: 'The erasure has already started or was canceled.',
  },
  name_taken: { status: 409, fault: 'caller', title: 'Another catalogue entry already has this name.' },
  idempotency_key_reused: {
    status: 422,
    fault: 'caller',
    title: 'This Idempotency-Key was already used for a different request. Use a new key for each request.',
  },
  too_many_changes: {
    status: 429,
    fault: 'caller',
    title: 'You have filed or edited too many complaints. Wait a minute, then try again.',
    retryAfterSec: 60,
  },
  unknown_category: {
    status: 422,
    fault: 'caller',
    title: 'This tenant has no such category.',
  },
  unknown_team: { status: 422, fault: 'caller', title: 'This tenant has no team with this id.' },
  unknown_assignee: {
    status: 422,
    fault: 'caller',
    title: 'The assignee must be an active agent of this tenant.',
  },
  unknown_complainant: {
    status: 422,
    fault: 'caller',
    title: 'The complainant must be an active member of this tenant.',
  },
  invalid_duplicate: {
    status: 422,
    fault: 'caller',
    title: 'The complaint cannot be marked as a duplicate of this one.',
  },
  unsupported_file_type: {
    status: 415,
    fault: 'caller',
    title: 'The file must be a JPEG, PNG or WebP image, a PDF document or plain text.',
  },
  unreadable_image: { status: 422, fault: 'caller', title: 'The image is damaged or has too many pixels.' },
  unknown_comment: {
    status: 422,
    fault: 'caller',
    title: 'You have no comment with this id on the complaint.',
  },
  too_many_attachments: {
    status: 409,
    fault: 'caller',
    title: 'The complaint has reached its limit of 30 attachments.',
  },
  attachment_space_full: {
    status: 409,
    fault: 'capacity',
    title: 'Your tenant has used all of its attachment storage.',
  },
  too_many_attached_bytes: {
    status: 429,
    fault: 'caller',
    title:
      "You have reached the daily size limit for attachments. Remove some of today's attachments, or try again later.",
    retryAfterSec: 3_600,
  },
  attachment_lost: {
    status: 410,
    fault: 'ours',
    title: 'The file of this attachment was lost. If you still have it, attach it again.',
  },
  attachments_busy: {
    status: 503,
    fault: 'capacity',
    title: 'The server is processing too many images. Try again shortly.',
    retryAfterSec: 5,
  },
  too_many_streams: {
    status: 429,
    fault: 'caller',
    title: 'You have too many event streams open. Close some first.',
    retryAfterSec: 30,
  },
  too_many_webhooks: { status: 409, fault: 'caller', title: 'Your tenant has reached its limit of webhooks.' },
  webhook_has_no_secret: {
    status: 409,
    fault: 'caller',
    title: 'This webhook has no secret, because it is signed with a published key.',
  },
  webhook_not_active: { status: 409, fault: 'caller', title: 'This webhook is paused or disabled. Resume it first.' },
  people_unavailable: {
    status: 503,
    fault: 'upstream',
    title: 'Users cannot be looked up right now. Try again shortly.',
    retryAfterSec: 2,
  },
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
