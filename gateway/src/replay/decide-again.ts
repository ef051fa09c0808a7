import type { GatewayConfig, Issuer, ValueSource } from '../config/config.ts';
import { createEngine, orRefusal, type Target } from '../diff/engine.ts';
import { maxLoggedPathLength } from '../pipeline/request-record.ts';
import type { Grant, PolicyCaller } from '../routing/policy.ts';
import { parseRequestTarget } from '../routing/route-table.ts';
import { findIssuer } from '../tokens/claim-mapping/find-issuer.ts';
import { mappingOf } from '../tokens/logged-caller.ts';
import { type Decision, decisionOf, type LoggedCaller, type LogLine } from './log-line.ts';

/**
 * A recorded request, decided again. `unknown` names what the line lacks. `token` means that the gateway had refused
 * the token, and that the route still reads one: whether the token is valid is not decided again.
 */
export type Outcome =
  | Readonly<{ is: 'same' | 'token' | 'undecided' }>
  | Readonly<{ is: 'changed'; before: Decision; after: Decision }>
  | Readonly<{ is: 'unknown'; before: Decision; lacks: string }>;

/** Thrown where a rule reads what the line does not have, so that nothing is guessed. */
class Lacking {
  readonly what: string;
  constructor(what: string) {
    this.what = what;
  }
}

function lack(what: string): never {
  // Not an Error, whose stack would cost more than the decision.
  throw new Lacking(what);
}

const outcomes = { same: { is: 'same' }, token: { is: 'token' }, undecided: { is: 'undecided' } } as const;

/** Creates the replay of a configuration. It uses the route tables and rules that serve requests. */
export function createDecideAgain(config: GatewayConfig): (line: LogLine) => Outcome {
  const { match } = createEngine(config);
  const issuers = new Map(config.issuers.map((issuer) => [issuer.issuer, { config: issuer }]));

  function decide(line: LogLine, before: Decision): Decision | 'token' {
    const { listener = 'public', method, path, upgrade = false } = line;
    // No configuration changes these.
    if (before.code === 'uri_too_long' || line.detail?.part === 'query') return before;
    if (path.length >= maxLoggedPathLength) lack(`the path after ${maxLoggedPathLength} characters`);
    const target: Target = orRefusal(() =>
      match(listener, upgrade ? 'WebSocket' : method, parseRequestTarget(path).path),
    );
    // An earlier version did not say whether the path or the query was at fault.
    if (before.code === 'invalid_target' && target.route !== undefined) lack('the part of the URL that was at fault');
    if (target.code !== undefined) return { route: target.route?.name, code: target.code, kind: undefined };
    const { route, policy, params } = target;
    const as = (code: string | undefined, kind?: Decision['kind']) => ({ route: route.name, code, kind });
    // A public route ignores tokens.
    if (route.auth === 'public') return as(undefined, 'anonymous');
    if (line.identity === undefined && before.code !== 'upgrade_not_allowed' && before.route !== undefined)
      return before.route === route.name ? 'token' : as(before.code);
    const issuer = line.caller && findIssuer(issuers, line.caller.iss)?.config;
    if (line.caller !== undefined && issuer === undefined) {
      return as(line.identity === 'service' ? 'txn_token_invalid' : 'token_issuer_unknown');
    }
    const caller = callerIn(line, issuer);
    const refused = issuer && 'bound' in caller ? refusalByIssuer(caller.token.claims, issuer) : undefined;
    if (refused !== undefined) return as(refused);
    for (const rule of policy) {
      const refusal = rule.refusal(caller, params);
      if (refusal !== undefined) return as(refusal);
    }
    return as(undefined, caller.kind);
  }

  return (line) => {
    const before = decisionOf(line);
    if (before === undefined) return outcomes.undecided;
    try {
      const after = decide(line, before);
      if (after === 'token') return outcomes.token;
      const isSame = before.route === after.route && before.code === after.code && before.kind === after.kind;
      return isSame ? outcomes.same : { is: 'changed', before, after };
    } catch (error) {
      if (error instanceof Lacking) return { is: 'unknown', before, lacks: error.what };
      throw error;
    }
  };
}

/** Returns the refusal of a token whose values this configuration's issuer may not give. */
function refusalByIssuer(claims: Grant, { clients, machines, tenants, roles }: Issuer): string | undefined {
  if (clients !== undefined && !clients.includes(claims.clientId ?? '')) return 'token_client_refused';
  if (claims.kind === 'client' && !machines.isAccepted) return 'token_machine_refused';
  const [tenant, role] = [tenants && claims.tenantId, roles && claims.role];
  if (tenant !== undefined && !tenants?.has(tenant)) return 'token_tenant_refused';
  return role !== undefined && !roles?.has(role) ? 'token_role_refused' : undefined;
}

function callerIn(line: LogLine, issuer: Issuer | undefined): PolicyCaller {
  const { identity, caller, rule } = line;
  if (identity === 'service') {
    const principal = line.transaction_id && { token: { claims: grantIn(line, caller, issuer) } };
    return { kind: identity, serviceId: line.service_id ?? lack('the service'), principal: principal || undefined };
  }
  if (identity === 'user' || identity === 'client')
    return { kind: identity, token: { claims: grantIn(line, caller, issuer) }, bound: caller?.bound === true };
  // Only the last rule tells whether the gateway looked for a token.
  if (identity === undefined || rule === undefined || rule === 'auth: public')
    lack('the token, which the gateway did not read');
  return { kind: 'anonymous' };
}

/** A value that the configuration might read differently is lacking only when a rule asks for it. */
function grantIn(line: LogLine, caller: LoggedCaller | undefined, issuer: Issuer | undefined): Grant {
  if (caller === undefined || issuer === undefined) return lack('the caller: an earlier version wrote the line');
  const kind = line.user_id === undefined ? 'client' : 'user';
  const recorded = caller.mapping.split('.');
  const [client, role, tenant, scope] = mappingOf(issuer)
    [kind].split('.')
    .map((part, at) => part === recorded[at]);
  if (!client) lack('the OAuth client, which is read differently');
  const sources = kind === 'user' ? issuer.claims : issuer.machines;
  const hasScope = (one: string): boolean => {
    if (!scope) lack('the scopes, which are read differently');
    return caller.scope.includes(one) || (caller.other_scope.includes(one) ? false : lack(`the scope ${one}`));
  };
  const valuesOf = (name: string) =>
    caller.claims && Object.hasOwn(caller.claims, name) ? caller.claims[name] : lack(`the claim ${name}`);
  return {
    kind,
    userId: line.user_id,
    issuer: caller.iss,
    clientId: line.client_id,
    get role() {
      return role ? caller.role : sameForAll(sources.role, 'the role');
    },
    get tenantId() {
      return tenant ? line.tenant_id : sameForAll(sources.tenantId, 'the tenant', issuer.tenantPrefix);
    },
    get scope() {
      return Object.assign([...caller.scope], { includes: hasScope });
    },
    act: line.actor === undefined ? undefined : { sub: line.actor, iss: caller.actor_iss ?? lack('the actor') },
    kept: { get: valuesOf },
  };
}

function sameForAll(source: ValueSource | undefined, what: string, prefix = ''): string | undefined {
  if (source === undefined) return undefined;
  return source.kind === 'constant' ? prefix + source.value : lack(`${what}, which is read differently`);
}
