import { commonErrors, type ErrorTable, AppError as KitError, preconditionErrors } from '@countersign/service-kit';

/** The error codes of this service. */
export const errors = {
  ...commonErrors,
  ...preconditionErrors,
  insufficient_role: { status: 403, fault: 'caller', title: 'Your role does not allow this.' },
  // The auth-service has the same code, for the second factor.
  fresh_login_required: { status: 401, fault: 'caller', title: 'Log in again, then repeat this within five minutes.' },
  insufficient_scope: { status: 403, fault: 'caller', title: 'The access token lacks a scope that this needs.' },
  not_the_source: { status: 403, fault: 'caller', title: 'Only the auth-service can change memberships.' },
  illegal_transition: {
    status: 409,
    fault: 'caller',
    title: 'The complaint cannot move from its current status to this one.',
  },
  complaint_locked: { status: 409, fault: 'caller', title: 'The complaint cannot be changed any more.' },
  member_active: {
    status: 409,
    fault: 'caller',
    title: 'This person is an active member. Disable the account first.',
  },
  erasure_scheduled: { status: 409, fault: 'caller', title: 'This person is scheduled to be erased already.' },
  erasure_not_cancellable: {
    status: 409,
    fault: 'caller',
    title: 'The erasure has begun, or was cancelled already.',
  },
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
  unsupported_file_type: {
    status: 415,
    fault: 'caller',
    title: 'The file is not a JPEG, PNG or WebP image, a PDF document or plain text.',
  },
  unreadable_image: { status: 422, fault: 'caller', title: 'The image is damaged or has too many pixels.' },
  unknown_comment: {
    status: 422,
    fault: 'caller',
    title: 'This id does not belong to a comment of yours on the complaint.',
  },
  too_many_attachments: {
    status: 409,
    fault: 'caller',
    title: 'The complaint has as many attachments as it may have.',
  },
  attachment_space_full: {
    status: 409,
    fault: 'capacity',
    title: 'The attachments of your tenant take up all the space that it has.',
  },
  too_many_attached_bytes: {
    status: 429,
    fault: 'caller',
    title: 'What you attached within 24 hours is as large as it may be. Remove some of it, or try again later.',
    retryAfterSec: 3_600,
  },
  attachment_lost: {
    status: 410,
    fault: 'ours',
    title: 'The file of this attachment was lost. Attach it again, if you have it.',
  },
  attachments_busy: {
    status: 503,
    fault: 'capacity',
    title: 'Too many images are processed right now. Try again shortly.',
    retryAfterSec: 5,
  },
  too_many_streams: {
    status: 429,
    fault: 'caller',
    title: 'You have too many event streams open. Close some first.',
    retryAfterSec: 30,
  },
  too_many_webhooks: { status: 409, fault: 'caller', title: 'Your tenant has as many webhooks as it may have.' },
  webhook_has_no_secret: {
    status: 409,
    fault: 'caller',
    title: 'This webhook is signed by a published key, and has no secret.',
  },
  webhook_not_active: { status: 409, fault: 'caller', title: 'This webhook is paused or was ended. Resume it first.' },
  people_unavailable: {
    status: 503,
    fault: 'upstream',
    title: 'A person cannot be checked right now. Try again shortly.',
    retryAfterSec: 2,
  },
} as const satisfies ErrorTable;

export type Code = keyof typeof errors;
export const AppError = KitError<Code>;
