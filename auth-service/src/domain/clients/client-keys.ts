import { createPublicKey, type JsonWebKeyInput } from 'node:crypto';
import { ignoresUnknown } from '@countersign/service-kit';
import { z } from 'zod';
import { maxClientKeys } from './client-rules.ts';

/** Algorithms that may sign client assertions. The key type determines which of these a key can use. */
export const assertionAlgorithms = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256'] as const;

const value = z.string().regex(/^[A-Za-z0-9_-]{1,1024}$/, 'must be base64url');
const named = {
  kid: z.string().min(1).max(128),
  use: z.literal('sig').exactOptional(),
  // A private key that was sent here is compromised, so refuse it: the owner must replace it.
  d: z.never('is a private key: send only the public key').exactOptional(),
};

const keyOf = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.object({ ...named, ...shape }).register(ignoresUnknown, { source: 'RFC 7517 section 4' });

const publicKey = z
  .discriminatedUnion('kty', [
    keyOf({ kty: z.literal('EC'), crv: z.enum(['P-256', 'P-384']), x: value, y: value }),
    keyOf({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: value }),
    keyOf({
      kty: z.literal('RSA'),
      // Without `alg`, one key would work with two algorithms. Other key types have one algorithm each.
      alg: z.enum(['RS256', 'PS256']),
      n: value,
      // A large exponent makes each verification expensive.
      e: z.literal('AQAB'),
    }),
  ])
  .refine(isUsable, 'must be a public key: EC on P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits');

/** An OAuth client's public keys (RFC 7517), each with a unique `kid`. */
export const clientKeySet = z
  .object({ keys: z.array(publicKey).min(1).max(maxClientKeys) })
  .register(ignoresUnknown, { source: 'RFC 7517 section 5' })
  .refine(({ keys }) => new Set(keys.map(({ kid }) => kid)).size === keys.length, 'each key needs a unique kid')
  .meta({ id: 'ClientKeySet' });

export type ClientKeySet = z.infer<typeof clientKeySet>;

function isUsable(jwk: object): boolean {
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: jwk, format: 'jwk' } as JsonWebKeyInput);
    const { modulusLength = 2048 } = asymmetricKeyDetails ?? {};
    return modulusLength >= 2048 && modulusLength <= 4096;
  } catch {
    return false;
  }
}
