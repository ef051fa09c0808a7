export { type End, type EndOrigin, type EventSource, type EventToken, eventSources, type StoredEnd } from './end.ts';
export { type Delivery, type NamedTenants, parseTime } from './event-body.ts';
export { Journal, type JournalOptions } from './journal.ts';
export { LiveEntries } from './live-entries.ts';
export { type LogoutTokenOptions, verifyLogoutToken } from './logout-token.ts';
export { type EventPreset, eventPresetOf } from './presets.ts';
export {
  isBearer,
  logoutAccepted,
  logoutRefused,
  type PushAnswer,
  pushAccepted,
  pushRefused,
  readDelivery,
  readLogoutToken,
  readSecurityEventToken,
  singleHeader,
} from './push.ts';
export { type RevokeCall, readRevokeCall } from './revoke-call.ts';
export {
  type CredentialChange,
  credentialChanges,
  type SecurityEventTokenOptions,
  verifySecurityEventToken,
} from './security-event-token.ts';
export { SeenIds } from './seen-ids.ts';
export { type LogPage, type LogRequest, SharedLog, type SharedLogOptions } from './shared-log.ts';
export { EventTokenError, type EventTokenErrorCode } from './signed-token.ts';
export { TenantQuotas, type TenantQuotasOptions } from './tenant-quotas.ts';
export { type Conditions, readWebhook, type WebhookFormat } from './webhook-body.ts';
export { type ProvedDelivery, proveWebhook, standardKey, type WebhookProof, webhookWindowMs } from './webhook-proof.ts';
