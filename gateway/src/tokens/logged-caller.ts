import { hash } from 'node:crypto';
import type { Issuer } from '../config/config.ts';
import type { Claims, StatusClaims } from './claims.ts';
import type { TokenStatus } from './verified-tokens.ts';

/** A token can have hundreds of groups, and each of its requests has a line. */
const maxClaimCharacters = 1024;
const emptyLength = '{}'.length;

/** The part of the log line that is the same for all requests with a token, as an object and as its JSON. */
export type LoggedPart = Readonly<{ caller: object; json: string }>;

/** Takes some microseconds, so it is called once for each token. It has no id that the log line does not have otherwise. */
export function loggedPartOf({ claims, issuer }: TokenStatus): LoggedPart {
  const caller = loggedCaller(claims, issuer.config);
  return { caller, json: JSON.stringify({ caller }).slice(1, -1) };
}

/**
 * Returns what a route's rules read from a token besides the members that every line has: `user_id`, `client_id`,
 * `actor` and `tenant_id`. With it, `countersign replay` decides the request again.
 */
function loggedCaller(claims: TokenStatus['claims'] & Bound, issuer: Issuer) {
  const { kind, role, scope, act, jkt, certificate } = claims;
  const kept = Object.fromEntries(issuer.kept.claims.map((name) => [name, claims.kept.get(name) ?? []]));
  const { length } = JSON.stringify(kept);
  const isShort = length > emptyLength && length <= maxClaimCharacters;
  const others = [...issuer.kept.scopes].filter((one) => !scope.includes(one));
  return {
    iss: claims.issuer,
    role,
    scope: scope.length === 0 ? undefined : scope,
    /** The scopes that the configuration knows and the token lacks. */
    other_scope: others.length === 0 ? undefined : others,
    actor_iss: act?.iss,
    bound: jkt !== undefined || certificate !== undefined ? true : undefined,
    /** Every claim that a rule of the configuration reads. */
    claims: isShort ? kept : undefined,
    mapping: mappingOf(issuer)[kind],
  };
}

type Bound = Partial<Pick<Claims, 'jkt' | 'certificate'>>;

const mappings = new WeakMap<Issuer, Readonly<Record<StatusClaims['kind'], string>>>();

/**
 * Returns hashes of the settings that turn a token into its OAuth client, role, tenant and scopes, in this order and
 * separated by dots. If a hash differs between two configurations, they may read the value differently.
 */
export function mappingOf(issuer: Issuer): Readonly<Record<StatusClaims['kind'], string>> {
  const known = mappings.get(issuer);
  if (known !== undefined) return known;
  const { claims, machines, tenantPrefix, template } = issuer;
  const of = ({ role, tenantId }: Readonly<Partial<Record<'role' | 'tenantId', unknown>>>) =>
    [[claims.client, machines.when], role, [tenantId, tenantPrefix, template], claims.scope]
      .map((part) => hash('sha256', JSON.stringify(part ?? null), 'base64url').slice(0, 6))
      .join('.');
  const mapping = { user: of(claims), client: of(machines) };
  mappings.set(issuer, mapping);
  return mapping;
}
