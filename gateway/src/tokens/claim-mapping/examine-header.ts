import { keyAlgorithmOf, kidPattern } from '@countersign/jwks';
import type { Issuer } from '../../config/config.ts';
import { claimOf, type Payload, unmet } from './claim-path.ts';
import { variableOf } from './find-issuer.ts';
import { described, type Finding, finding, oneOfThese } from './finding.ts';

// With the first four, a token could choose its own key (CVE-2018-0114, RFC 8725 section 3.10). `crit` and `b64`
// change what the signature means (RFC 7515 section 4.1.11, RFC 7797).
const refusedParameters = ['jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64'] as const;

/** Finds problems with a header that do not depend on the issuer. */
export function headerFindings(header: Payload): readonly Finding[] {
  const [alg, kid] = [claimOf(header, 'alg'), claimOf(header, 'kid')];
  const choice = 'the provider must omit it: a token cannot choose its own key';
  const findings = refusedParameters
    .filter((name) => Object.hasOwn(header, name))
    .map((name) => finding('token_header_refused', `header ${name}`, 'nothing', 'a value', choice));
  if (typeof alg !== 'string') {
    const fix = 'the provider must sign the token';
    findings.push(finding('token_algorithm_refused', 'header alg', 'a text', described(alg), fix));
  }
  if (typeof kid !== 'string' || !kidPattern.test(kid)) {
    const fix = 'the provider must set kid, because it publishes several keys';
    findings.push(finding('token_key_unknown', 'header kid', 'a key id', described(kid), fix));
  }
  return findings;
}

/** Finds problems with a header that depend on the issuer: the type and the algorithm. */
export function examineHeader(header: Payload, issuer: Issuer): readonly Finding[] {
  const type = headerType(header, issuer);
  const findings = type === undefined ? [] : [type];
  const { alg } = header;
  if (typeof alg === 'string' && (issuer.algorithms as readonly string[]).includes(keyAlgorithmOf(alg)))
    return findings;
  const fix =
    typeof alg === 'string' && alg.startsWith('HS')
      ? 'switch the provider to asymmetric keys: with a shared secret, every verifier could issue tokens'
      : 'add it to algorithms, or change the key at the provider';
  const found = described(typeof alg === 'string' ? alg.slice(0, 32) : alg);
  findings.push(finding('token_algorithm_refused', 'header alg', oneOfThese(issuer.algorithms), found, fix));
  return findings;
}

const maxShown = 8;

export function issuerFinding(iss: unknown, issuers: Iterable<Readonly<{ config: Issuer }>>): Finding {
  const known = [...issuers].map(({ config }) => config.issuer);
  const fix = typeof iss === 'string' ? nearMiss(iss, known) : 'the provider must add its issuer URL';
  return finding('token_issuer_unknown', 'iss', oneOfThese(known.slice(0, maxShown)), described(iss), fix);
}

function nearMiss(iss: string, known: readonly string[]): string {
  const plain = (text: string) =>
    text
      .toLowerCase()
      .replace(/\/+$/, '')
      .replace(/^http:/, 'https:');
  const near = known.find((issuer) => plain(issuer) === plain(iss));
  if (near === undefined) return `set issuer to this value if you trust these tokens`;
  if (near.replace(/\/+$/, '') === iss.replace(/\/+$/, '')) {
    return `set issuer to ${described(iss)}: only the trailing slash differs, and it matters`;
  }
  return `set issuer to ${described(iss)}: case and scheme matter`;
}

/**
 * Checks a key's `issuer`, which Entra publishes in the key set that all of its tenants share. Without this check, one
 * tenant's key could sign for another tenant. Compares only the tenant, because versions 1.0 and 2.0 of the issuer
 * share keys.
 *
 * @param named The published value. Undefined if there is none. If it contains a variable, the key belongs to every
 *   tenant.
 * @see https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-issuer
 */
export function keyIssuerFinding(named: string | undefined, iss: string, issuer: Issuer): readonly Finding[] {
  if (named === undefined || issuer.template === undefined) return [];
  const variable = variableOf(iss, issuer);
  const isOwn = named.split('/').some((segment) => segment === variable || /^\{[A-Za-z]{1,32}\}$/.test(segment));
  if (isOwn) return [];
  const fix = "the token's key belongs to another tenant of the provider";
  return [finding('token_key_unknown', 'iss', described(named), described(iss), fix)];
}

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
function headerType(header: Payload, { types }: Issuer): Finding | undefined {
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
