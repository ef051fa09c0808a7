import type { Issuer } from '../../config/config.ts';
import { claimOf, type Payload } from './claim-path.ts';
import { unmet } from './conditions.ts';
import { described, type Finding, finding, oneOfThese } from './finding.ts';

const typNames: Readonly<Record<string, readonly unknown[]>> = {
  'at+jwt': ['at+jwt', 'application/at+jwt'],
  JWT: ['JWT', 'jwt', 'application/jwt'],
};

/** Claims that no access token has. ID tokens, logout tokens, security events and DPoP proofs have them. */
const foreignMembers = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events', 'token_introspection', 'htm'] as const;
const foreignToIdTokens = ['events', 'token_introspection', 'htm', 'scope', 'scp'] as const;
const typeClaims = ['typ', 'token_use'] as const;
/** Values of Keycloak's type claim, which is in the payload. */
const foreignTypes: readonly unknown[] = ['ID', 'Refresh', 'Offline', 'Logout'];

type Kind = 'at+jwt' | 'JWT' | 'none';

function kindOf(header: Payload): Kind | undefined {
  if (!Object.hasOwn(header, 'typ')) return 'none';
  if (typNames['at+jwt']?.includes(header.typ)) return 'at+jwt';
  return typNames.JWT?.includes(header.typ) ? 'JWT' : undefined;
}

/** Checks the `typ` header. For `JWT` and `none`, {@link payloadType} makes the final decision. */
export function headerType(header: Payload, { types }: Issuer): Finding | undefined {
  const kind = kindOf(header);
  const isIdToken = types.includes('id-token');
  if (kind !== undefined && (isIdToken ? kind !== 'at+jwt' : types.includes(kind))) return undefined;
  const wanted = isIdToken
    ? 'an ID token: "JWT", or nothing'
    : oneOfThese(types.map((type) => (type === 'none' ? undefined : type)));
  const fix =
    kind === undefined
      ? 'send an access token: this token has another purpose'
      : isIdToken
        ? 'send the ID token, or set types without id-token'
        : `add ${kind} to types, if the provider's access tokens have this type`;
  return finding('token_type_refused', 'header typ', wanted, described(claimOf(header, 'typ')), fix);
}

/**
 * Distinguishes access tokens from an issuer's other tokens by their claims, because most providers use the same `typ`
 * for all. `azp` and `client_id` do not help, because ID tokens have them too.
 */
export function payloadType(header: Payload, payload: Payload, issuer: Issuer): Finding | undefined {
  const isIdToken = issuer.types.includes('id-token');
  const member = (isIdToken ? foreignToIdTokens : foreignMembers).find((name) => Object.hasOwn(payload, name));
  if (member !== undefined) return wrongKind(member, 'nothing', 'a value', isIdToken);
  // A list could name both an access token and another type.
  const list = typeClaims.find((name) => Array.isArray(claimOf(payload, name)));
  if (list !== undefined) return wrongKind(list, 'one text', described(payload[list]), isIdToken);
  const typ = claimOf(payload, 'typ');
  if (isIdToken ? typ !== undefined && typ !== 'ID' : foreignTypes.includes(typ)) {
    return wrongKind('typ', isIdToken ? '"ID", or nothing' : 'an access token type', described(typ), isIdToken);
  }
  const lacking = kindOf(header) === 'at+jwt' ? undefined : unmet(issuer.typeTest, payload);
  return lacking && wrongKind(lacking.claim, lacking.wanted, lacking.found, isIdToken);
}

function wrongKind(claim: string, wanted: string, found: string, isIdToken: boolean): Finding {
  const fix = isIdToken
    ? 'send the ID token: this is another kind of token'
    : 'send the access token: this is an ID token or another kind of token';
  return finding('token_type_refused', claim, wanted, found, fix);
}
