import { createHash, type KeyObject } from 'node:crypto';
import { isUnixSeconds } from '@countersign/identity';
import { compactVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { toleranceMs } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { visibleText } from '../claims.ts';
import { parseCompactToken } from '../compact-token.ts';
import { importProofKey, isProofAlgorithm, type ProofKey } from './dpop-key.ts';

/** What a proof is good for: the request that it came with. */
export type ProvenRequest = Readonly<{
  method: string;
  /** The request target's path, byte for byte as it came. */
  path: string;
  /** Undefined: there is no access token, and `ath` is not looked at. */
  token: Readonly<{ text: string; jkt: string }> | undefined;
}>;

/** A proof that holds for its request. Whether it is the first one with its `jti` is not known yet. */
export type DpopProof = Readonly<{ thumbprint: string; tokenId: string; issuedAtSec: number }>;

/** Longest proof taken, in characters: one with an RSA key of 4096 bits has about 2500. */
export const maxProofLength = 4096;
/** How long a proof may be used after it was made, in seconds, without the tolerance between clocks. */
export const proofLifetimeSec = 60;

// Each names another key than `jwk`, or changes what the signature means.
const refusedParameters = ['jku', 'x5u', 'x5c', 'crit', 'b64'] as const;
// About 3 KB each: importing a key costs half as much as a signature.
const maxSigners = 5_000;

type Signer = ProofKey & Readonly<{ algorithm: string }>;

export type ProofVerifierOptions = Readonly<{
  isOurUri(htu: string, path: string): boolean;
  /** @throws AppError where the nonce is missing or not good. */
  checkNonce(nonce: unknown): void;
  nowMs(): number;
}>;

/**
 * Checks a DPoP proof against the request that it came with (RFC 9449 section 4.3). The signature comes last: what can be refused for less
 * costs less. A client's header is the same text each time: what was read from one whose signature held is remembered.
 *
 * The returned function throws AppError `dpop_proof_invalid`, `dpop_proof_mismatch`, `dpop_proof_expired`, `token_key_mismatch`, and
 * whatever `checkNonce` throws.
 */
export function createProofVerifier(
  options: ProofVerifierOptions,
): (text: string, request: ProvenRequest) => Promise<DpopProof> {
  const signers = new LRUCache<string, Signer>({ max: maxSigners });
  return async (text, request) => {
    const { header, payload } = takeApart(text);
    const written = text.slice(0, text.indexOf('.'));
    const signer = signers.get(written) ?? readHeader(header);
    const { algorithm, key, thumbprint } = signer;
    if (request.token !== undefined && request.token.jkt !== thumbprint) throw new AppError('token_key_mismatch');
    const tokenId = payload.jti;
    if (typeof tokenId !== 'string' || !visibleText.test(tokenId)) throw invalid('jti');
    if (payload.htm !== request.method) throw mismatch('htm');
    if (typeof payload.htu !== 'string' || !options.isOurUri(payload.htu, request.path)) throw mismatch('htu');
    if (request.token !== undefined && payload.ath !== hashOf(request.token.text)) throw mismatch('ath');
    const issuedAtSec = readTime(payload.iat, options.nowMs());
    options.checkNonce(payload.nonce);
    await checkSignature(text, key, algorithm);
    signers.set(written, signer);
    return { thumbprint, tokenId, issuedAtSec };
  };
}

/** Base64url of the SHA-256 of a text in ASCII, as `ath` has it. */
export const hashOf = (text: string): string => createHash('sha256').update(text, 'latin1').digest('base64url');

function takeApart(text: string): ReturnType<typeof parseCompactToken> {
  if (text.length > maxProofLength) throw invalid('too large');
  try {
    const { header, payload } = parseCompactToken(text);
    // Without a prototype, a claim that is not there is undefined whatever its name.
    return { header: withoutPrototype(header), payload: withoutPrototype(payload) };
  } catch (cause) {
    throw invalid('not one JWS in canonical form', cause);
  }
}

function readHeader(header: Readonly<Record<string, unknown>>): Signer {
  for (const name of refusedParameters) if (name in header) throw invalid(`header ${name}`);
  // As RFC 9449 writes it; an access token or any other JWT of the same key is no proof.
  if (header.typ !== 'dpop+jwt') throw invalid('typ');
  const { alg: algorithm } = header;
  if (!isProofAlgorithm(algorithm)) throw invalid('alg');
  const imported = importProofKey(header.jwk, algorithm);
  if (typeof imported === 'string') throw invalid(imported);
  return { algorithm, ...imported };
}

function readTime(iat: unknown, nowMs: number): number {
  if (typeof iat !== 'number' || !isUnixSeconds(iat)) throw invalid('iat');
  const isFuture = iat * 1000 > nowMs + toleranceMs;
  if (isFuture || nowMs >= (iat + proofLifetimeSec) * 1000 + toleranceMs) {
    throw new AppError('dpop_proof_expired', { detail: { ageSec: Math.round(nowMs / 1000) - iat } });
  }
  return iat;
}

async function checkSignature(text: string, key: KeyObject, algorithm: string): Promise<void> {
  try {
    await compactVerify(text, key, { algorithms: [algorithm] });
  } catch (cause) {
    throw invalid('signature', cause);
  }
}

const withoutPrototype = (object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.assign(Object.create(null), object);

const invalid = (reason: string, cause?: unknown): AppError =>
  new AppError('dpop_proof_invalid', { cause, detail: { reason } });

const mismatch = (claim: string): AppError => new AppError('dpop_proof_mismatch', { detail: { claim } });
