export type { End, Notice } from './end.ts';
export { Journal, type JournalOptions } from './journal.ts';
export { type LogoutTokenOptions, verifyLogoutToken } from './logout-token.ts';
export { type EventPreset, eventPresetOf } from './presets.ts';
export {
  isBearer,
  logoutAccepted,
  logoutRefused,
  type PushAnswer,
  pushAccepted,
  pushRefused,
  readLogoutToken,
  readSecurityEvent,
} from './push.ts';
export {
  type CredentialChange,
  credentialChanges,
  type SecurityEventOptions,
  verifySecurityEvent,
} from './security-event.ts';
export { SeenIds } from './seen-ids.ts';
export { type LogPage, type LogRequest, SharedLog, type SharedLogOptions } from './shared-log.ts';
export { SignalError, type SignalErrorCode } from './signal-error.ts';
export type { EventOrigin, StoredEnd } from './stored-end.ts';
export { TenantQuotas, type TenantQuotasOptions } from './tenant-quotas.ts';
