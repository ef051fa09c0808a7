import { createHash, type KeyObject } from 'node:crypto';
import { isUnixSeconds } from '@countersign/identity';
import { importPublicJwk, jwkThumbprint, keyAlgorithmOf, verifyJws } from '@countersign/jwks';
import { LRUCache } from 'lru-cache';
import { toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { parseJwt, type UnverifiedJwt } from './parse-jwt.ts';

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
 * @throws AppError `dpop_proof_invalid`.
 * @see RFC 9449 section 4.3, points 5 and 7
 */
export function importProofKey(jwk: unknown, algorithm: ProofAlgorithm): ProofKey {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw invalid('jwk is not an object');
  const members = jwk as Readonly<Record<string, unknown>>;
  const imported = importPublicJwk(members, [keyAlgorithmOf(algorithm)]);
  if ('refused' in imported) throw invalid(`jwk is ${imported.refused}`);
  const { key } = imported;
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) > maxRsaBits) throw invalid('jwk is too large');
  return { key, thumbprint: jwkThumbprint(members) };
}

const isProofAlgorithm = (name: unknown): name is ProofAlgorithm =>
  (proofAlgorithms as readonly unknown[]).includes(name);

export type ProvenRequest = Readonly<{
  method: string;
  /** The request target's path, unchanged. */
  path: string;
  /** If undefined, the request has no access token, and `ath` is not checked. */
  token: Readonly<{ text: string; jkt: string }> | undefined;
}>;

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

type ProofVerifierOptions = Readonly<{
  publicOrigins: readonly string[];
  /** @throws AppError if the nonce is missing or not accepted. */
  checkNonce(nonce: unknown): void;
  nowMs(): number;
}>;

/**
 * Creates the DPoP proof verifier (RFC 9449 section 4.3). It checks the signature last, because that costs the most. A
 * client sends the same header text each time, so the key is cached once a header had a valid signature.
 *
 * The returned function throws AppError `dpop_proof_*` or `token_key_mismatch`, and the errors of `checkNonce`.
 */
export function createProofVerifier({ publicOrigins, checkNonce, nowMs }: ProofVerifierOptions) {
  const isOurUri = createUriCheck(publicOrigins);
  const signers = new LRUCache<string, Signer>({ max: maxSigners });
  return (text: string, request: ProvenRequest): DpopProof => {
    const { header, payload } = parse(text);
    const headerText = text.slice(0, text.indexOf('.'));
    const signer = signers.get(headerText) ?? readHeader(header);
    const { algorithm, key, thumbprint } = signer;
    if (request.token !== undefined && request.token.jkt !== thumbprint) throw new AppError('token_key_mismatch');
    const tokenId = payload.jti;
    if (typeof tokenId !== 'string' || !visibleText.test(tokenId)) throw invalid('jti');
    if (payload.htm !== request.method) throw mismatch('htm');
    if (typeof payload.htu !== 'string' || !isOurUri(payload.htu, request.path)) throw mismatch('htu');
    if (request.token !== undefined && payload.ath !== hashOf(request.token.text)) throw mismatch('ath');
    const issuedAtSec = readTime(payload.iat, nowMs());
    checkNonce(payload.nonce);
    if (!verifyJws(text, key, algorithm)) throw invalid('signature');
    signers.set(headerText, signer);
    return { thumbprint, tokenId, issuedAtSec };
  };
}

export const hashOf = (text: string): string => createHash('sha256').update(text, 'latin1').digest('base64url');

function parse(text: string): UnverifiedJwt {
  try {
    return parseJwt(text, maxProofLength);
  } catch (cause) {
    throw invalid('too large, or not a single JWS in canonical form', cause);
  }
}

function readHeader(header: Readonly<Record<string, unknown>>): Signer {
  for (const name of refusedParameters) if (Object.hasOwn(header, name)) throw invalid(`header ${name}`);
  // RFC 9449 section 4.2. Other JWTs signed with the same key, such as an access token, are not proofs.
  if (header.typ !== 'dpop+jwt') throw invalid('typ');
  const { alg: algorithm } = header;
  if (!isProofAlgorithm(algorithm)) throw invalid('alg');
  return { algorithm, ...importProofKey(header.jwk, algorithm) };
}

function readTime(iat: unknown, nowMs: number): number {
  if (!isUnixSeconds(iat)) throw invalid('iat');
  const isFuture = iat * 1000 > nowMs + toleranceMs;
  if (isFuture || nowMs >= (iat + proofLifetimeSec) * 1000 + toleranceMs) {
    throw new AppError('dpop_proof_expired', { detail: { ageSec: Math.round(nowMs / 1000) - iat } });
  }
  return iat;
}

const invalid = (reason: string, cause?: unknown): AppError =>
  new AppError('dpop_proof_invalid', { cause, detail: { reason } });

const mismatch = (claim: string): AppError => new AppError('dpop_proof_mismatch', { detail: { claim } });

/**
 * Creates a function that compares a proof's `htu` with the public origins and the request's path, before any
 * rewriting. `Host` is ignored, because the client controls it.
 *
 * Both sides are normalized (RFC 9449 section 4.3, RFC 3986 sections 6.2.2 and 6.2.3): lower-case scheme and host, no
 * default port, `/` for an empty path, upper-case percent-encoding, decoded unreserved characters. The query and the
 * fragment are ignored. Dot segments are not resolved. Canonical request paths have none, so an `htu` with dot
 * segments never matches.
 *
 * @param publicOrigins In the form of `URL.origin`.
 * @returns A function that tells whether `htu` names `path` at one of the origins. `path` is canonical and
 *   percent-encoded.
 */
export function createUriCheck(publicOrigins: readonly string[]): (htu: string, path: string) => boolean {
  const origins = new Set(publicOrigins);
  return (htu, path) => {
    for (const origin of origins) {
      if (htu.length === origin.length + path.length && htu.endsWith(path) && htu.startsWith(origin)) return true;
    }
    const [, origin = '', named = ''] = uri.exec(htu) ?? [];
    const normalized = originOf(origin);
    return normalized !== undefined && origins.has(normalized) && normalPath(named) === normalPath(path);
  };
}

// Scheme, authority without user info, path, query, fragment. Refuses characters that a URL parser would change.
const uri = /^(https?:\/\/[A-Za-z0-9.:[\]-]+)((?:\/[!-"$->@-[\]-~]*)?)(?:\?[!-"$-~]*)?(?:#[!-~]*)?$/i;

function originOf(text: string): string | undefined {
  const url = text === '' ? null : URL.parse(text);
  return url === null ? undefined : url.origin;
}

const escaped = /%([0-9A-Fa-f]{2})/g;
const unreserved = /[A-Za-z0-9._~-]/;

function normalPath(path: string): string {
  if (path === '') return '/';
  return path.replace(escaped, (whole, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return unreserved.test(character) ? character : whole.toUpperCase();
  });
}
