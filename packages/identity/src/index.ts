// For the gateway: identities, header names and signing.

export { ContextTooLong } from './contract/context.ts';
export { type HeaderRule, headerRules, type RequestToSign } from './contract/contract.ts';
export { contentDigest, emptyContentDigest } from './contract/digest.ts';
export {
  idPattern,
  isAuthMethod,
  isIssuer,
  isScope,
  isSubject,
  isUnixSeconds,
  rolePattern,
} from './contract/grammar.ts';
export {
  contractHeaders,
  foldHeaderName,
  identityPrefixes,
  isIdentityHeader,
  isReservedHeader,
  proxyHeaders,
} from './contract/header-names.ts';
export type {
  Actor,
  AnonymousIdentity,
  ClientClaims,
  ClientIdentity,
  GatewayIdentity,
  Identity,
  IdentityClaims,
  IdentityContext,
  IdentityKind,
  ServiceIdentity,
  UserClaims,
  UserIdentity,
} from './contract/identity.ts';
export { newNonce, newRequestId } from './contract/ids.ts';
export {
  appendSignedHeaders,
  type PreparedIdentity,
  prepareIdentity,
  type SignOptions,
  signRequest,
} from './sign/sign.ts';

// For a service: verification and refusals. Each framework adapter is a separate entry point.

export { type VerifyUpgradeOptions, verifyUpgrade } from './adapters/upgrade.ts';
export {
  IdentityRefused,
  IdentityUnavailable,
  type RefusalReason,
  refusalReasons,
  type UnavailableReason,
  unavailableReasons,
} from './contract/refusal.ts';
export {
  createVerifier,
  type RequestHead,
  type VerifiedHead,
  type Verifier,
  type VerifierOptions,
} from './verify/verify.ts';

// For a service that gets its identity from tokens.

export {
  assertTokenRequest,
  type IdentityTokenOptions,
  type TokenIdentity,
  verifyIdentityToken,
} from './verify/identity-token.ts';

// Sources of the gateway's keys.

export { type SignatureAlgorithm, type SigningKey, secretKeyid, type VerifyingKey } from './contract/rfc9421.ts';
export {
  type GatewayKeys,
  type GatewayKeysOptions,
  gatewayKeys,
  type KeysOutage,
  type RemoteGatewayKeys,
  type SharedSecret,
  secretGatewayKeys,
  staticGatewayKeys,
} from './keys/gateway-keys.ts';
export { whyNotPrivate } from './keys/private-file.ts';
export { isPublishedKey, isPublishedSecret } from './keys/published-keys.ts';

// Key agreement: gateway and service derive an HMAC key from keys that each publishes.

export { type AgreedKey, type AgreementPeer, agreeAsGateway, agreeAsService } from './keys/agreement.ts';
export {
  type AgreementJwk,
  type AgreementKeyPair,
  type AgreementPublicKey,
  agreementKeyFromJwk,
  agreementKeysIn,
  newAgreementJwk,
  type PrivateAgreementJwk,
  publicAgreementJwk,
} from './keys/agreement-jwk.ts';
export type { AgreementEvent, AgreementKeys, AgreementOptions } from './keys/agreement-keys.ts';

// Replay: nonce stores for one process, or shared by several.

export type { NonceClaim, NonceVerdict, ReplayStore } from './replay/replay.ts';
export { type MemoryReplay, type MemoryReplayOptions, memoryReplay } from './replay/replay-memory.ts';
export { type RedisForReplay, type RedisReplay, type RedisReplayOptions, redisReplay } from './replay/replay-redis.ts';

// Nested calls: a service signs, the gateway verifies.

export {
  type CallService,
  type ServiceCall,
  type ServiceCallerOptions,
  serviceCaller,
  serviceKeyFromJwk,
} from './nested/call-service.ts';
export {
  createServiceVerifier,
  defaultGatewayName,
  type ServiceForm,
  type ServiceKey,
  type ServiceRequest,
  type ServiceVerifierOptions,
  signServiceRequest,
  type VerifiedServiceHead,
} from './nested/service-signature.ts';
