import { createHash, generateKeyPairSync } from 'node:crypto';

export type PublicJwk = Record<string, unknown> & { kid: string };

/** Makes a new P-256 public key. */
export function es256(kid: string): PublicJwk {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
}

export function ed25519(kid: string): PublicJwk {
  const { publicKey } = generateKeyPairSync('ed25519');
  return { ...publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' };
}

/** Makes an RSA key whose modulus is an odd number with `bits` bits. OpenSSL does not check its factors. */
export function rsa(kid: string, bits: number, e = 'AQAB'): PublicJwk {
  const n = Buffer.alloc(bits / 8);
  for (let at = 0; at < n.length; at += 32) createHash('sha256').update(`${kid} ${at}`).digest().copy(n, at);
  n.writeUInt8(n.readUInt8(0) | 0x80, 0);
  n.writeUInt8(n.readUInt8(n.length - 1) | 1, n.length - 1);
  return { kty: 'RSA', n: n.toString('base64url'), e, kid, alg: 'RS256', use: 'sig' };
}
