export {
  type CallService,
  type ServiceCall,
  type ServiceCallerOptions,
  serviceCaller,
  serviceKeyFromJwk,
} from './call-service.ts';
export { contentDigest, emptyContentDigest, isContentDigest } from './digest.ts';
export {
  type GatewayKeys,
  type GatewayKeysOptions,
  gatewayKeys,
  type RemoteGatewayKeys,
  type SharedSecret,
  secretGatewayKeys,
  staticGatewayKeys,
} from './gateway-keys.ts';
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
export { type SignatureAlgorithm, type SigningKey, secretKeyid, type VerifyingKey } from './keys.ts';
export { type PreparedIdentity, prepareIdentity } from './prepare.ts';
export { IdentityRefused, IdentityUnavailable, type RefusalReason, refusalReasons } from './refusal.ts';
export type { NonceClaim, NonceVerdict, ReplayStore } from './replay.ts';
export { type MemoryReplay, type MemoryReplayOptions, memoryReplay } from './replay-memory.ts';
export { type RedisForReplay, type RedisReplayOptions, redisReplay } from './replay-redis.ts';
export {
  createServiceVerifier,
  type ServiceKey,
  type ServiceRequest,
  type ServiceVerifierOptions,
  signServiceRequest,
  type VerifiedServiceHead,
} from './service-signature.ts';
export { type RequestToSign, type SignOptions, signRequest } from './sign.ts';
export { type VerifyUpgradeOptions, verifyUpgrade } from './upgrade.ts';
export { createVerifier, type RequestHead, type VerifiedHead, type Verifier, type VerifierOptions } from './verify.ts';
