import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { thumbprintOf } from './ed25519-jwk.ts';

/** An ed25519 key that signs identity, and the time in which it may sign. */
export type GatewayKey = Readonly<{
  /** Its RFC 7638 thumbprint. */
  keyid: string;
  privateKey: KeyObject;
  /** Unix seconds. The key may sign from here on. It is published as soon as it exists. */
  notBeforeSec: number;
  /** Unix seconds. Undefined: it may sign until it is retired. */
  expiresSec: number | undefined;
}>;

const bytes32 = z.string().regex(/^[A-Za-z0-9_-]{43}$/, { error: 'is not 32 bytes of base64url' });

const keyFile = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: bytes32,
  d: bytes32,
  kid: z.string(),
  alg: z.literal('EdDSA').optional(),
  use: z.literal('sig').optional(),
  nbf: z.int().min(0).optional(),
  exp: z.int().min(0).optional(),
});

const mismatch = 'has an x that does not belong to its d';

/**
 * Reads one key file: a private JWK (RFC 8037) with `nbf` and `exp` in Unix seconds.
 *
 * @returns The key, or a description of the problem that reveals nothing of the key.
 */
export function parseKeyFile(text: string): GatewayKey | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  const parsed = keyFile.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `is not an ed25519 private JWK (${issue?.path.join('.') || issue?.code})`;
  }
  const { x, d, kid, nbf, exp } = parsed.data;
  if (kid !== thumbprintOf(x)) return 'has a kid that is not its RFC 7638 thumbprint';
  if (nbf !== undefined && exp !== undefined && exp <= nbf) return 'expires before it begins';
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x, d } });
  } catch {
    return mismatch;
  }
  // Before Node.js 26, OpenSSL does not check `x`. The published key must be the one that `d` signs for.
  const derived = createPublicKey(privateKey.export({ format: 'pem', type: 'pkcs8' })).export({ format: 'jwk' }).x;
  if (derived !== x) return mismatch;
  return { keyid: kid, privateKey, notBeforeSec: nbf ?? 0, expiresSec: exp };
}

/** Generates a key and the text of its file. The keyid never starts with `-`, which a command line would read as an option. */
export function newKeyFile(notBeforeSec: number): { keyid: string; text: string } {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new Error('node made a key without x or d');
  const keyid = thumbprintOf(x);
  if (keyid.startsWith('-')) return newKeyFile(notBeforeSec);
  return { keyid, text: writeKeyFile({ x, d, keyid, notBeforeSec, expiresSec: undefined }) };
}

/** Returns the text of the key's file with an expiry. */
export function withExpiry(key: GatewayKey, expiresSec: number): string {
  const { x, d } = key.privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new Error('not an ed25519 private key');
  return writeKeyFile({ x, d, keyid: key.keyid, notBeforeSec: key.notBeforeSec, expiresSec });
}

function writeKeyFile(key: {
  x: string;
  d: string;
  keyid: string;
  notBeforeSec: number;
  expiresSec: number | undefined;
}) {
  const { x, d, keyid: kid, notBeforeSec: nbf, expiresSec: exp } = key;
  return `${JSON.stringify({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid, nbf, exp, x, d }, null, 2)}\n`;
}
