import { createHash, type KeyObject } from 'node:crypto';
import { isUnixSeconds } from '@countersign/identity';
import { importPublicJwk, jwkThumbprint, keyAlgorithmOf } from '@countersign/jwks';
import { LRUCache } from 'lru-cache';
import { createUriCheck } from './dpop-uri.ts';
import { parseJwt, type UnverifiedJwt } from './parse-jwt.ts';
import { verifyJws } from './verify-jws.ts';

/**
 * The allowed signature algorithms, which challenges also send as `algs`. Only asymmetric (RFC 9449 section 4.3, point
 * 5).
 */
export const proofAlgorithms = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256'] as const;
type ProofAlgorithm = (typeof proofAlgorithms)[number];

/** A client's key, taken from its own proof. It only proves that two proofs come from the same client. */
type ProofKey = Readonly<{
  key: KeyObject;
  /** The RFC 7638 thumbprint with SHA-256, 43 characters. Compared with `cnf.jkt`. */
  thumbprint: string;
}>;

// Larger keys cost more to verify, and the client chooses its own key.
const maxRsaBits = 4096;

/**
 * Imports the `jwk` from a proof's header. It must be a public key that fits the algorithm, in canonical base64url.
 *
 * @returns The key, or the reason for the refusal as text for the log.
 * @see RFC 9449 section 4.3, points 5 and 7
 */
export function importProofKey(jwk: unknown, algorithm: ProofAlgorithm): ProofKey | string {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return 'jwk is not an object';
  const members = jwk as Readonly<Record<string, unknown>>;
  const imported = importPublicJwk(members, [keyAlgorithmOf(algorithm)]);
  if ('refused' in imported) return `jwk is ${imported.refused}`;
  const { key } = imported;
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) > maxRsaBits) return 'jwk is too large';
  return { key, thumbprint: jwkThumbprint(members) };
}

const isProofAlgorithm = (name: unknown): name is ProofAlgorithm =>
  (proofAlgorithms as readonly unknown[]).includes(name);

/** The request that a proof came with. */
export type ProvenRequest = Readonly<{
  method: string;
  /** The request target's path, unchanged. */
  path: string;
  /** If undefined, the request has no access token, and `ath` is not checked. */
  token: Readonly<{ text: string; jkt: string }> | undefined;
}>;

/** Why a proof is refused. `token_key_mismatch` means that the token is bound to another key. */
export type ProofRefusal = 'dpop_proof_invalid' | 'dpop_proof_mismatch' | 'dpop_proof_expired' | 'token_key_mismatch';

/** `detail` is for the log and contains no part of the proof. */
export class ProofError extends Error {
  override readonly name = 'ProofError';
  readonly code: ProofRefusal;
  readonly detail: Readonly<Record<string, string | number>>;

  constructor(code: ProofRefusal, detail: Readonly<Record<string, string | number>> = {}, cause?: unknown) {
    super(code, { cause });
    this.code = code;
    this.detail = detail;
  }
}

/** A proof that is valid for its request. Replay has not been checked yet. */
export type DpopProof = Readonly<{ thumbprint: string; tokenId: string; issuedAtSec: number }>;

/** A subject or token id: visible ASCII characters. */
export const visibleText = /^[\x21-\x7e]{1,256}$/;

/** The longest accepted proof, in characters. A proof with a 4096-bit RSA key has about 2500. */
const maxProofLength = 4096;
/** How long a proof is valid after `iat`, in seconds, without the clock tolerance. */
export const proofLifetimeSec = 60;

// The first three could provide another key than `jwk`. `crit` and `b64` change what the signature means.
const refusedParameters = ['jku', 'x5u', 'x5c', 'crit', 'b64'] as const;
// About 3 KB each. The cache saves importing the key, which costs half as much as verifying a signature.
const maxSigners = 5_000;

type Signer = ProofKey & Readonly<{ algorithm: string }>;

export type ProofVerifierOptions = Readonly<{
  /** The origins that clients request, in the form of `URL.origin`. */
  publicOrigins: readonly string[];
  /** Throws the caller's own error if the nonce is missing or not accepted. */
  checkNonce(nonce: unknown): void;
  /** How far a client's clock may be off, in milliseconds. */
  toleranceMs: number;
  /** Unix milliseconds. */
  nowMs(): number;
}>;

/**
 * Creates the DPoP proof verifier (RFC 9449 section 4.3). It checks the signature last, because that costs the most. A
 * client sends the same header text each time, so the key is cached once a header had a valid signature.
 *
 * The returned function throws ProofError, and the errors of `checkNonce`.
 */
export function createProofVerifier({
  publicOrigins,
  checkNonce,
  toleranceMs,
  nowMs,
}: ProofVerifierOptions): (text: string, request: ProvenRequest) => DpopProof {
  const isOurUri = createUriCheck(publicOrigins);
  const signers = new LRUCache<string, Signer>({ max: maxSigners });
  return (text, request) => {
    const { header, payload } = parse(text);
    const headerText = text.slice(0, text.indexOf('.'));
    const signer = signers.get(headerText) ?? readHeader(header);
    const { algorithm, key, thumbprint } = signer;
    if (request.token !== undefined && request.token.jkt !== thumbprint) throw new ProofError('token_key_mismatch');
    const tokenId = payload.jti;
    if (typeof tokenId !== 'string' || !visibleText.test(tokenId)) throw invalid('jti');
    if (payload.htm !== request.method) throw mismatch('htm');
    if (typeof payload.htu !== 'string' || !isOurUri(payload.htu, request.path)) throw mismatch('htu');
    if (request.token !== undefined && payload.ath !== hashOf(request.token.text)) throw mismatch('ath');
    const issuedAtSec = readTime(payload.iat, nowMs(), toleranceMs);
    checkNonce(payload.nonce);
    if (!verifyJws(text, key, algorithm)) throw invalid('signature');
    signers.set(headerText, signer);
    return { thumbprint, tokenId, issuedAtSec };
  };
}

/** Returns the SHA-256 of an ASCII text in base64url, as in `ath`. */
export const hashOf = (text: string): string => createHash('sha256').update(text, 'latin1').digest('base64url');

function parse(text: string): UnverifiedJwt {
  if (text.length > maxProofLength) throw invalid('too large');
  try {
    return parseJwt(text);
  } catch (cause) {
    throw invalid('not a single JWS in canonical form', cause);
  }
}

function readHeader(header: Readonly<Record<string, unknown>>): Signer {
  for (const name of refusedParameters) if (Object.hasOwn(header, name)) throw invalid(`header ${name}`);
  // RFC 9449 section 4.2. Other JWTs signed with the same key, such as an access token, are not proofs.
  if (header.typ !== 'dpop+jwt') throw invalid('typ');
  const { alg: algorithm } = header;
  if (!isProofAlgorithm(algorithm)) throw invalid('alg');
  const imported = importProofKey(header.jwk, algorithm);
  if (typeof imported === 'string') throw invalid(imported);
  return { algorithm, ...imported };
}

function readTime(iat: unknown, nowMs: number, toleranceMs: number): number {
  if (typeof iat !== 'number' || !isUnixSeconds(iat)) throw invalid('iat');
  const isFuture = iat * 1000 > nowMs + toleranceMs;
  if (isFuture || nowMs >= (iat + proofLifetimeSec) * 1000 + toleranceMs) {
    throw new ProofError('dpop_proof_expired', { ageSec: Math.round(nowMs / 1000) - iat });
  }
  return iat;
}

const invalid = (reason: string, cause?: unknown): ProofError =>
  new ProofError('dpop_proof_invalid', { reason }, cause);

const mismatch = (claim: string): ProofError => new ProofError('dpop_proof_mismatch', { claim });
