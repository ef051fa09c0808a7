import type { Actor } from '@countersign/identity';
import type { Allow, AllowedParty, Route, Scalar } from '../config/config.ts';

/** The values of the path's `:params`, decoded once. */
export type Params = Readonly<Record<string, string>>;

/** The claims in a user's or OAuth client's token that a route's rules need. */
export type Grant = Readonly<{
  kind: 'user' | 'client';
  userId: string | undefined;
  role: string | undefined;
  tenantId: string | undefined;
  issuer: string;
  clientId: string | undefined;
  scope: readonly string[];
  act: Actor | undefined;
  kept: Pick<ReadonlyMap<string, readonly Scalar[]>, 'get'>;
}>;

export type PolicyPrincipal = Readonly<{ token: Readonly<{ claims: Grant }> }>;

/** The properties of the caller that a route's rules need. */
export type PolicyCaller =
  | Readonly<{ kind: 'anonymous' }>
  | (PolicyPrincipal & Readonly<{ kind: 'user' | 'client'; bound: boolean }>)
  /** `principal` is the user or OAuth client that the service acts for. */
  | Readonly<{ kind: 'service'; serviceId: string; principal?: PolicyPrincipal | undefined }>;

/** What of the caller a rule reads. `caller` is its kind, its actor and the service. Claims have a `claim:` before. */
export type RuleInput = 'caller' | 'binding' | Exclude<keyof Allow, 'claims'> | `claim:${string}`;

/** The codes of rules. An authenticated request with any other code was allowed, and refused by a later stage. */
export const ruleCodes = [
  'token_missing',
  'token_unbound',
  'caller_missing',
  'caller_not_allowed',
  'actor_not_allowed',
  'client_not_allowed',
  'insufficient_scope',
  'insufficient_role',
  'tenant_mismatch',
  'claim_not_allowed',
] as const;
type RuleCode = (typeof ruleCodes)[number];

export type Rule = Readonly<{
  text: string;
  /** Nothing else changes the result, so `countersign diff` compares each input by itself. */
  reads: RuleInput;
  /** The values that the configuration lists for it. */
  listed: readonly Scalar[];
  /** @returns The refusal's code. Undefined if the rule passes. Called for every request. */
  refusal(caller: PolicyCaller, params: Params): RuleCode | undefined;
  /** Explains the result to operators. Called for refusals, `countersign test` and `countersign explain`. */
  why(caller: PolicyCaller, params: Params): string;
}>;

/** A route's rules, in the order in which they are evaluated. There is at least one. */
export type Policy = readonly [Rule, ...Rule[]];

/** One rule's result for a caller. `refusal` is undefined if the rule passes. */
export type Verdict = Readonly<{ rule: string; refusal: RuleCode | undefined; why: string }>;

export type PolicyRules = Pick<Route, 'auth' | 'callers' | 'senderConstrained' | 'allow'>;

/** In the order of evaluation. A rule holds all about its key: the decision, the code, and texts for operators. */
const allowRules: Readonly<Record<keyof Allow, (allow: Allow) => readonly Rule[]>> = {
  actors: ({ actors = [] }) => (actors.length === 0 ? [] : [actorsRule(actors)]),
  clients: ({ clients }) => (clients === undefined ? [] : [clientsRule(clients)]),
  scopes: ({ scopes }) => (scopes === undefined || scopes === 'any' ? [] : [scopesRule(scopes)]),
  roles: ({ roles }) => (roles === undefined ? [] : [roleRule(new Set(roles))]),
  tenant: ({ tenant }) => (tenant === undefined ? [] : [tenantRule(tenant.slice(1))]),
  claims: ({ claims = {} }) => Object.entries(claims).map(([claim, values]) => claimRule(claim, new Set(values))),
};

export function compilePolicy({ auth, callers, senderConstrained, allow }: PolicyRules): Policy {
  const first = auth === 'service' ? callersRule(callers, allow) : authRule(auth, allow);
  const conditions = Object.values(allowRules).flatMap((rulesFor) => rulesFor(allow));
  return [first, ...(senderConstrained ? [bindingRule] : []), ...conditions];
}

/** The authorize stage evaluates the same compiled rules until one refuses, so the results cannot differ. */
export function evaluatePolicy(policy: Policy, params: Params, caller: PolicyCaller): readonly Verdict[] {
  return policy.map(({ text, refusal, why }) => ({
    rule: text,
    refusal: refusal(caller, params),
    why: why(caller, params),
  }));
}

/** @returns The code of the first rule that refuses, or undefined if all pass. */
export function refusalOf(verdicts: readonly Verdict[]): RuleCode | undefined {
  return verdicts.find((verdict) => verdict.refusal !== undefined)?.refusal;
}

export function claimsOf(caller: PolicyCaller): Grant | undefined {
  if (caller.kind === 'anonymous') return undefined;
  return caller.kind === 'service' ? caller.principal?.token.claims : caller.token.claims;
}

/** Returns what a route refuses unless its configuration allows it: OAuth clients and actors. */
function unaskedFor(
  claims: Grant | undefined,
  { clients, actors = [] }: Pick<Allow, 'clients' | 'actors'>,
): Readonly<{ code: RuleCode; why: string }> | undefined {
  if (claims === undefined) return undefined;
  const { kind, clientId, act } = claims;
  if (act !== undefined && actors.length === 0) {
    return { code: 'actor_not_allowed', why: `${act.sub} acts for the caller, and the route has no allow.actors` };
  }
  if (kind === 'client' && clients === undefined) {
    return { code: 'client_not_allowed', why: `${clientId} is an OAuth client, and the route has no allow.clients` };
  }
  return undefined;
}

const authRule = (auth: Exclude<Route['auth'], 'service'>, allow: Allow): Rule => ({
  text: `auth: ${auth}`,
  reads: 'caller',
  listed: [],
  refusal(caller) {
    if (caller.kind === 'anonymous') return auth === 'required' ? 'token_missing' : undefined;
    return unaskedFor(claimsOf(caller), allow)?.code;
  },
  why: (caller) => unaskedFor(claimsOf(caller), allow)?.why ?? `the caller is ${caller.kind}`,
});

const callersRule = (callers: ReadonlySet<string>, allow: Allow): Rule => ({
  text: `callers: ${[...callers].join(', ')}`,
  reads: 'caller',
  listed: [],
  refusal(caller) {
    if (caller.kind !== 'service') return 'caller_missing';
    if (!callers.has(caller.serviceId)) return 'caller_not_allowed';
    return unaskedFor(claimsOf(caller), allow)?.code;
  },
  why(caller) {
    if (caller.kind !== 'service') return 'the caller is not a service';
    const unasked = callers.has(caller.serviceId) ? unaskedFor(claimsOf(caller), allow) : undefined;
    return unasked?.why ?? `the caller is ${caller.serviceId}`;
  },
});

/** An anonymous caller has no token to bind. `auth` decides whether anonymous callers are allowed. */
const bindingRule: Rule = {
  text: 'senderConstrained: required',
  reads: 'binding',
  listed: [],
  refusal: (caller) => ('bound' in caller && !caller.bound ? 'token_unbound' : undefined),
  why(caller) {
    if (!('bound' in caller)) return 'there is no token';
    return caller.bound ? 'the token is bound to a key' : 'the token is not bound to a key';
  },
};

const claimsRule = (
  reads: Exclude<RuleInput, 'caller' | 'binding'>,
  listed: readonly Scalar[],
  code: RuleCode,
  passes: (claims: Grant | undefined, params: Params) => boolean,
  why: (claims: Grant | undefined, params: Params) => string,
): Rule => ({
  text: `allow.${reads.replace('claim:', 'claims.')}: ${listed.join(reads === 'scopes' ? ' ' : ', ')}`,
  reads,
  listed,
  refusal: (caller, params) => (passes(claimsOf(caller), params) ? undefined : code),
  why: (caller, params) => why(claimsOf(caller), params),
});

function actorsRule(actors: readonly AllowedParty[]): Rule {
  const allows = compileParties(actors);
  return claimsRule(
    'actors',
    actors.map(partyText),
    'actor_not_allowed',
    (claims) => claims?.act === undefined || allows(claims.act.sub, claims.act.iss, claims.issuer),
    (claims) =>
      claims?.act === undefined
        ? 'the caller acts on its own behalf'
        : `the actor is ${claims.act.sub} of ${claims.act.iss}`,
  );
}

function clientsRule(clients: 'any' | readonly AllowedParty[]): Rule {
  const allows = clients === 'any' ? () => true : compileParties(clients);
  return claimsRule(
    'clients',
    clients === 'any' ? [clients] : clients.map(partyText),
    'client_not_allowed',
    (claims) => {
      if (claims?.clientId === undefined) return claims !== undefined && clients === 'any';
      return allows(claims.clientId, claims.issuer, claims.issuer);
    },
    (claims) => {
      if (claims?.clientId === undefined) return 'the caller has no OAuth client';
      const client = partyText({ name: claims.clientId, issuer: claims.issuer });
      return claims.kind === 'client' ? `the caller is the OAuth client ${client}` : `the OAuth client is ${client}`;
    },
  );
}

/** OAuth clients at two issuers may have the same name. The default issuer is the token's issuer. */
const partyText = ({ name, issuer }: AllowedParty): string => (issuer ? `${name} of ${issuer}` : name);

/** @returns A function of the name, the issuer that assigned it, and the token's issuer. */
function compileParties(parties: readonly AllowedParty[]): (name: string, issuer: string, own: string) => boolean {
  const issuersOf = new Map<string, Set<string | undefined>>();
  for (const { name, issuer } of parties) {
    const issuers = issuersOf.get(name) ?? new Set();
    issuersOf.set(name, issuers.add(issuer));
  }
  return (name, issuer, own) => {
    const issuers = issuersOf.get(name);
    return issuers !== undefined && (issuers.has(issuer) || (issuer === own && issuers.has(undefined)));
  };
}

/** Scopes are compared byte by byte (RFC 6749 section 3.3). */
function scopesRule(scopes: readonly string[]): Rule {
  const missingOf = (claims: Grant | undefined) => scopes.find((scope) => claims?.scope.includes(scope) !== true);
  return claimsRule(
    'scopes',
    scopes,
    'insufficient_scope',
    (claims) => missingOf(claims) === undefined,
    (claims) => {
      const missing = missingOf(claims);
      return missing === undefined ? 'the token has all required scopes' : `the token lacks ${missing}`;
    },
  );
}

const roleRule = (roles: ReadonlySet<string>): Rule =>
  claimsRule(
    'roles',
    [...roles],
    'insufficient_role',
    (claims) => claims?.role !== undefined && roles.has(claims.role),
    (claims) => (claims?.role === undefined ? 'the caller has no role' : `the caller's role is ${claims.role}`),
  );

const tenantRule = (param: string): Rule =>
  claimsRule(
    'tenant',
    [`:${param}`],
    'tenant_mismatch',
    (claims, params) => claims?.tenantId !== undefined && params[param] === claims.tenantId,
    (claims, params) => {
      if (claims?.tenantId === undefined) return 'the caller has no tenant';
      const own = `the caller's tenant is ${claims.tenantId}`;
      return params[param] === claims.tenantId ? own : `the path has ${params[param]}, ${own}`;
    },
  );

const claimRule = (claim: string, accepted: ReadonlySet<Scalar>): Rule =>
  claimsRule(
    `claim:${claim}`,
    [...accepted],
    'claim_not_allowed',
    (claims) => claims?.kept.get(claim)?.some((value) => accepted.has(value)) === true,
    (claims) => {
      const values = claims?.kept.get(claim) ?? [];
      return values.length === 0
        ? `the token has no ${claim}`
        : `the token has ${values.slice(0, maxShown).join(', ')}`;
    },
  );

const maxShown = 8;
