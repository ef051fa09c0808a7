import './node-version.ts';

export { decodeBase64url, isBase64url } from './base64url.ts';
export { type FetchedJwks, fetchJwks, readBody } from './fetch-jwks.ts';
export { type ImportedJwk, type ImportJwk, importPublicJwk, keyAlgorithmOf } from './import-jwk.ts';
export { type HeldKey, type IgnoredKey, type KeySet, type KeySetStats, KeySetUnavailable } from './key-set.ts';
export { trimOws } from './ows.ts';
export { keyIssuer, kidPattern, parseJwks } from './parse-jwks.ts';
export { parseStrictObject } from './parse-strict-object.ts';
export {
  type FindUrl,
  type KeySetEvent,
  type RemoteKeySetOptions,
  remoteKeySet,
} from './remote-key-set.ts';
export type { Timers } from './schedule.ts';
export { noKeys, staticKeySet } from './static-key-set.ts';
export { jwkThumbprint } from './thumbprint.ts';
export { exactSignature, verifyJws } from './verify-jws.ts';
