import { z } from 'zod';
import type { Refuse } from './cross-checks.ts';
import { scalar } from './issuers/issuer-values.ts';
import { claimName, partyName, role, scopeName, unique } from './values/scalars.ts';
import { type Immutable, listOrAny, oneShape } from './values/shapes.ts';
import { issuerIdentifier } from './values/urls.ts';

const iss = issuerIdentifier.describe('The issuer that assigned this id. Required with two or more issuers.');

/**
 * An OAuth client or an actor that a route allows, by its name at `issuer`. If `issuer` is undefined, the token's
 * issuer counts.
 */
export type AllowedParty = Readonly<{ issuer: string | undefined; name: string }>;

const named = partyName.transform((name): AllowedParty => ({ issuer: undefined, name }));

const client = oneShape('text or map', 'a text, or { iss, id }', [
  named,
  z
    .strictObject({ iss, id: partyName.describe("The OAuth client's id.") })
    .transform(({ iss: issuer, id: name }) => ({ issuer, name })),
]);

export const actor = oneShape('text or map', 'a text, or { iss, sub }', [
  named,
  z
    .strictObject({ iss, sub: partyName.describe("The actor's `sub`.") })
    .transform(({ iss: issuer, sub: name }) => ({ issuer, name })),
]);

const maxParties = 100;
/** The maximum that fits into the identity context. */
const maxScopes = 64;

export const claimValues = z
  .record(claimName, unique(scalar).min(1).max(maxParties))
  .refine((claims) => Object.keys(claims).length > 0, { error: 'must name at least one claim' });

export const allow = z.strictObject({
  roles: unique(role).min(1).optional().describe('The roles that may call this route.'),
  tenant: z
    .string()
    .regex(/^:[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must be a parameter of the path, such as ":tenantId"' })
    .optional()
    .describe("The path parameter that must match the caller's tenant."),
  scopes: listOrAny('scopes', unique(scopeName).min(1).max(maxScopes))
    .optional()
    .describe('The scopes that a token must have, all of them. `any` requires none. Scopes are compared byte by byte.'),
  clients: listOrAny('clients', z.array(client).min(1).max(maxParties))
    .optional()
    .describe(
      'The ids of the OAuth clients that may call this route, or `any`. Machines may call only routes that set this key.',
    ),
  actors: z
    .array(actor)
    .max(maxParties)
    .optional()
    .describe(
      'The actors that may act for the caller (RFC 8693), by `sub`. Without this key, a token with `act` is refused.',
    ),
  claims: claimValues.optional().describe('Claims that the token must have, each with its accepted values.'),
});

/** The conditions on the caller, as in the file. A rule in routing/policy.ts decides each condition. */
export type Allow = Immutable<z.output<typeof allow>>;

export const requiredScopes = ({ scopes }: Allow): readonly string[] =>
  scopes === undefined || scopes === 'any' ? [] : scopes;

type RouteWithAllow = Readonly<{ auth?: string | undefined; allow?: Allow | undefined }>;

/** @param params The path's parameters. Undefined if the path is malformed. */
export function checkAllow(
  { auth, allow }: RouteWithAllow,
  params: readonly string[] | undefined,
  refuse: Refuse,
): void {
  if (allow === undefined) return;
  if (auth === 'public' || auth === 'optional') {
    refuse(['allow'], `needs auth: required; auth: ${auth} checks no role, tenant, scope, OAuth client or actor`);
  }
  if (allow.tenant !== undefined && params?.includes(allow.tenant.slice(1)) === false) {
    refuse(['allow', 'tenant'], `the path has no "${allow.tenant}"`);
  }
  if (Object.values(allow).every((condition) => condition === undefined)) {
    refuse(['allow'], 'has no condition: set roles, tenant, scopes, clients, actors or claims');
  }
  if (allow.claims !== undefined && auth === 'service') {
    refuse(['allow', 'claims'], 'needs auth: required; a txn-token has no additional claims');
  }
}

/**
 * Checks what is ambiguous with two or more issuers. An OAuth client or actor of one issuer must not pass for one of
 * another issuer, and a token with few scopes must not pass a route that does not check scopes.
 */
export function checkSeveralIssuers({ auth, allow }: RouteWithAllow, needsScopes: boolean, refuse: Refuse): void {
  for (const [key, name] of [
    ['clients', 'id'],
    ['actors', 'sub'],
  ] as const) {
    const parties = allow?.[key] ?? [];
    if (parties === 'any') continue;
    for (const [index, { issuer }] of parties.entries()) {
      if (issuer !== undefined) continue;
      const message = `must be { iss, ${name} } with two or more issuers, because each issuer could use this name`;
      refuse(['allow', key, index], message);
    }
  }
  if (auth !== 'required' || !needsScopes || allow?.scopes !== undefined) return;
  const message =
    '"allow.scopes" is required, because there are two or more issuers and another route checks scopes: list them, or write any';
  refuse([], message, { absent: 'allow' });
}
