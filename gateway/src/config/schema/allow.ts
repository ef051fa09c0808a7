import { z } from 'zod';
import type { Refuse } from './cross-checks.ts';
import { scalar } from './issuers/issuer-values.ts';
import { claimName, partyName, role, scopeName, unique } from './values/scalars.ts';
import { type Immutable, listOrAny, oneShape } from './values/shapes.ts';
import { issuerIdentifier } from './values/urls.ts';

const iss = issuerIdentifier.describe('The issuer of the name. Required with two or more issuers.');

/**
 * A client or an actor that a route allows, by its name at `issuer`. If `issuer` is undefined, the issuer of the token.
 */
export type AllowedParty = Readonly<{ issuer: string | undefined; name: string }>;

const named = partyName.transform((name): AllowedParty => ({ issuer: undefined, name }));

const client = oneShape('text or map', 'a text, or { iss, id }', [
  named,
  z
    .strictObject({ iss, id: partyName.describe('The id of the client.') })
    .transform(({ iss: issuer, id: name }) => ({ issuer, name })),
]);

export const actor = oneShape('text or map', 'a text, or { iss, sub }', [
  named,
  z
    .strictObject({ iss, sub: partyName.describe('The `sub` of the actor.') })
    .transform(({ iss: issuer, sub: name }) => ({ issuer, name })),
]);

const maxParties = 100;
/** The maximum that the identity contract can carry. */
const maxScopes = 64;

export const claimValues = z
  .record(claimName, unique(scalar).min(1).max(maxParties))
  .refine((claims) => Object.keys(claims).length > 0, { error: 'must name at least one claim' });

export const allow = z.strictObject({
  roles: unique(role).min(1).optional().describe('The roles that are allowed.'),
  tenant: z
    .string()
    .regex(/^:[A-Za-z_][A-Za-z0-9_]*$/, { error: 'must be a parameter of the path, such as ":tenantId"' })
    .optional()
    .describe("The path parameter that must equal the caller's tenant."),
  scopes: listOrAny('scopes', unique(scopeName).min(1).max(maxScopes))
    .optional()
    .describe(
      'The scopes a token must have; all are required. With `any`, none are. Scopes are compared byte by byte.',
    ),
  clients: listOrAny('clients', z.array(client).min(1).max(maxParties))
    .optional()
    .describe('The clients that may call, by id, or `any`. Machines may call only routes that have this key.'),
  actors: z
    .array(actor)
    .max(maxParties)
    .optional()
    .describe('The actors that may act for the caller (RFC 8693), by `sub`. A token with `act` needs this key.'),
  claims: claimValues.optional().describe('Claims of the token, each with its accepted values.'),
});

/** Conditions on the caller, as in the file. Each is decided by a rule in routing/policy.ts. */
export type Allow = Immutable<z.output<typeof allow>>;

export const requiredScopes = ({ scopes }: Allow): readonly string[] =>
  scopes === undefined || scopes === 'any' ? [] : scopes;

type RouteWithAllow = Readonly<{ auth?: string | undefined; allow?: Allow | undefined }>;

/** @param params The parameters of the path. Undefined if the path is malformed. */
export function checkAllow(
  { auth, allow }: RouteWithAllow,
  params: readonly string[] | undefined,
  refuse: Refuse,
): void {
  if (allow === undefined) return;
  if (auth === 'public' || auth === 'optional') {
    refuse(['allow'], `needs auth: required; auth: ${auth} checks no role, tenant, scope, client or actor`);
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
 * Checks what is ambiguous with two or more issuers. A client or an actor of one issuer must not pass for one of
 * another, and a token with few scopes must not pass a route that does not check scopes.
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
      const message = `must be { iss, ${name} } with two or more issuers, because each could use this name`;
      refuse(['allow', key, index], message);
    }
  }
  if (auth !== 'required' || !needsScopes || allow?.scopes !== undefined) return;
  const message =
    '"allow.scopes" is required, because there are two or more issuers and another route checks scopes: list them, or write any';
  refuse([], message, { absent: 'allow' });
}
