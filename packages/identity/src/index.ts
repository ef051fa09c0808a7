// For a gateway: who the caller is, and the signature over one request.

export { type HeaderRule, headerRules } from './contract.ts';
export { contentDigest, emptyContentDigest } from './digest.ts';
export { idPattern, rolePattern } from './grammar.ts';
export { contractHeaders, foldHeaderName, isIdentityHeader, isReservedHeader } from './header-names.ts';
export type {
  AnonymousIdentity,
  GatewayIdentity,
  Identity,
  IdentityContext,
  IdentityFacts,
  IdentityKind,
  ServiceIdentity,
  UserClaims,
  UserIdentity,
} from './identity.ts';
export { newNonce, newRequestId } from './ids.ts';
export { type PreparedIdentity, prepareIdentity } from './prepare.ts';
export { type RequestToSign, type SignOptions, signRequest } from './sign.ts';

// For a service: what it receives is verified, or refused with a reason. The frameworks' adapters are entry points of their own.

export {
  IdentityRefused,
  IdentityUnavailable,
  type RefusalReason,
  refusalReasons,
  type UnavailableReason,
  unavailableReasons,
} from './refusal.ts';
export { type VerifyUpgradeOptions, verifyUpgrade } from './upgrade.ts';
export { createVerifier, type RequestHead, type VerifiedHead, type Verifier, type VerifierOptions } from './verify.ts';

// Keys: where a service finds the one that a signature names.

export {
  type GatewayKeys,
  type GatewayKeysOptions,
  gatewayKeys,
  type KeysOutage,
  type RemoteGatewayKeys,
  type SharedSecret,
  secretGatewayKeys,
  staticGatewayKeys,
} from './gateway-keys.ts';
export { type SignatureAlgorithm, type SigningKey, secretKeyid, type VerifyingKey } from './keys.ts';

// Replay: nonces that were used, in one process or in a store for several.

export type { NonceClaim, NonceVerdict, ReplayStore } from './replay.ts';
export { type MemoryReplay, type MemoryReplayOptions, memoryReplay } from './replay-memory.ts';
export { type RedisForReplay, type RedisReplay, type RedisReplayOptions, redisReplay } from './replay-redis.ts';

// Nested calls: a service's own signature, and the gateway's check of it.

export {
  type CallService,
  type ServiceCall,
  type ServiceCallerOptions,
  serviceCaller,
  serviceKeyFromJwk,
} from './call-service.ts';
export {
  createServiceVerifier,
  type ServiceKey,
  type ServiceRequest,
  type ServiceVerifierOptions,
  signServiceRequest,
  type VerifiedServiceHead,
} from './service-signature.ts';
