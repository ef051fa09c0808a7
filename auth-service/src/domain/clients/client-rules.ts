/**
 * A scope-token of RFC 6749 section 3.3, with the length limit of the identity contract. Scopes are compared byte by
 * byte.
 */
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

export const maxClientKeys = 8;
export const maxScopes = 64;
/** How long the previous secret can stay valid after a rotation, in seconds. */
export const maxSecretOverlapSec = 7 * 24 * 3600;
export const defaultSecretOverlapSec = 24 * 3600;

/** The properties that determine which tokens an OAuth client can get. */
export type OAuthClientRights = Readonly<{
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
