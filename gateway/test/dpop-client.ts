import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { hashOf } from '../src/tokens/dpop-proof.ts';

const curves = { ES256: 'P-256', ES384: 'P-384' } as const;
type Algorithm = keyof typeof curves | 'EdDSA' | 'RS256' | 'PS256';

type Json = Readonly<Record<string, unknown>>;

export type DpopClient = Readonly<{
  alg: Algorithm;
  jwk: Json;
  privateJwk: Json;
  thumbprint: string;
  /** Makes a valid proof in which the given header and payload members are replaced. `undefined` removes a member. */
  proof(request: ProofRequest, claims?: Json, header?: Json): string;
  /** Signs the given header and payload, including text that a JWT library would refuse. */
  signText(header: string, payload: string): string;
}>;

export type ProofRequest = Readonly<{ method?: string; url: string; token?: string; nonce?: string }>;

/**
 * Creates a client with its own key. It shares only SHA-256 with the verifier, so that it can make any malformed
 * proof.
 */
export function dpopClient(alg: Algorithm = 'ES256', nowMs: () => number = Date.now): DpopClient {
  const { publicKey, privateKey } = keyPair(alg);
  const jwk = publicKey.export({ format: 'jwk' }) as Json;
  const { kty, crv, x, y, n, e } = jwk;
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'OKP' ? { crv, kty, x } : { crv, kty, x, y };
  const thumbprint = createHash('sha256').update(JSON.stringify(members)).digest('base64url');
  const signText = (header: string, payload: string) => {
    const signed = `${encode(header)}.${encode(payload)}`;
    return `${signed}.${signatureOf(alg, privateKey, signed).toString('base64url')}`;
  };
  return {
    alg,
    jwk,
    privateJwk: privateKey.export({ format: 'jwk' }) as Json,
    thumbprint,
    signText,
    proof({ method = 'GET', url, token, nonce }, claims = {}, header = {}) {
      const payload = {
        jti: randomUUID(),
        htm: method,
        htu: url,
        iat: Math.floor(nowMs() / 1000),
        ...(token !== undefined && { ath: hashOf(token) }),
        ...(nonce !== undefined && { nonce }),
        ...claims,
      };
      return signText(JSON.stringify({ typ: 'dpop+jwt', alg, jwk, ...header }), JSON.stringify(payload));
    },
  };
}

function keyPair(alg: Algorithm) {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519');
  if (alg === 'RS256' || alg === 'PS256') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: curves[alg] });
}

function signatureOf(alg: Algorithm, key: KeyObject, text: string): Buffer {
  const bytes = Buffer.from(text);
  if (alg === 'EdDSA') return sign(null, bytes, key);
  if (alg === 'RS256') return sign('sha256', bytes, key);
  // RSA_PKCS1_PSS_PADDING, with a salt as long as the digest (RFC 7518 section 3.5).
  if (alg === 'PS256') return sign('sha256', bytes, { key, padding: 6, saltLength: 32 });
  return sign(alg === 'ES384' ? 'sha384' : 'sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });
}

const encode = (text: string): string => Buffer.from(text).toString('base64url');
