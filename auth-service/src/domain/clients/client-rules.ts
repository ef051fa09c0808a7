import { createPublicKey, type JsonWebKeyInput } from 'node:crypto';
import { ignoresUnknown } from '@countersign/service-kit';
import { z } from 'zod';

/** A scope-token (RFC 6749 section 3.3) with the identity contract's length limit. Compared byte by byte. */
export const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;

/**
 * Chooses a token's scopes: the requested scopes, or all allowed scopes if the request names none.
 *
 * @param asked The `scope` parameter: scope-tokens separated by single spaces.
 * @returns undefined when the parameter is malformed or names a scope that is not allowed.
 */
export function chooseScopes(asked: string | undefined, allowed: readonly string[]): readonly string[] | undefined {
  if (asked === undefined) return allowed;
  const names = [...new Set(asked.split(' '))];
  return names.every((name) => allowed.includes(name)) ? names : undefined;
}

/** How an OAuth client gets tokens: for itself (RFC 6749 section 4.4), or for a user who consented (RFC 8693). */
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const grantTypes = ['client_credentials', tokenExchangeGrant] as const;

export type GrantType = (typeof grantTypes)[number];

/** Client ids start with this prefix, so that they never equal a user id. */
export const clientIdPrefix = 'client-';

const clientIdPattern = /^client-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const isClientId = (text: string): boolean => clientIdPattern.test(text);

const maxClientKeys = 8;
export const maxScopes = 64;
/** How long the previous secret can stay valid after a rotation, in seconds. */
export const maxSecretOverlapSec = 7 * 24 * 3600;
export const defaultSecretOverlapSec = 24 * 3600;

/** The properties that determine which tokens an OAuth client can get. */
type OAuthClientRights = Readonly<{
  status: 'active' | 'disabled';
  scopes: readonly string[];
  grant_types: readonly GrantType[];
}>;

/** Whether a change removes a right. If so, existing tokens must be revoked. */
export function losesRights(from: OAuthClientRights, to: OAuthClientRights): boolean {
  return (
    (from.status === 'active' && to.status === 'disabled') ||
    from.scopes.some((scope) => !to.scopes.includes(scope)) ||
    from.grant_types.some((type) => !to.grant_types.includes(type))
  );
}

/** The `subject_token_type` of delegation tokens. RFC 8693 section 3 permits such types. */
export const delegationTokenType = 'urn:countersign:token-type:delegation';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

export const minDelegationSec = 60;
export const maxDelegationSec = 30 * 24 * 3600;
/** Limit for a person in a tenant. When the session ends, each delegation adds a revocation log entry. */
export const maxDelegations = 100;

export const tokenPath = '/v1/auth/token';
export const authorizationPath = '/v1/auth/authorize';

/** Appends a path to the issuer, which may end in a slash. */
export const publicUrl = (issuer: string, path: string): string => issuer.replace(/\/+$/, '') + path;

/** Values that a client assertion may have in `aud` (RFC 7523 section 3). */
export const assertionAudiences = (issuer: string): readonly string[] => [issuer, publicUrl(issuer, tokenPath)];

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
