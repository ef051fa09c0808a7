export type { End, Notice } from './end.ts';
export { type LogoutTokenOptions, verifyLogoutToken } from './logout-token.ts';
export { type EventPreset, eventPresetOf } from './presets.ts';
export { isBearer, type PushAnswer, pushAccepted, pushRefused } from './push.ts';
export {
  type CredentialChange,
  credentialChanges,
  type SecurityEventOptions,
  verifySecurityEvent,
} from './security-event.ts';
export { SeenIds } from './seen-ids.ts';
export { SignalError, type SignalErrorCode } from './signal-error.ts';
