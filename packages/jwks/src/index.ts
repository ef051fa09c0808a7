export { type ImportedJwk, type ImportJwk, importPublicJwk } from './import-jwk.ts';
export { type KeySet, type KeySetStats, KeySetUnavailable } from './key-set.ts';
export { kidPattern } from './parse-jwks.ts';
export { type KeySetEvent, type RemoteKeySetOptions, remoteKeySet } from './remote-key-set.ts';
export type { Timers } from './schedule.ts';
export { staticKeySet } from './static-key-set.ts';
