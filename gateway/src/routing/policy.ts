import type { Route } from '../config/config.ts';
import type { Code } from '../errors.ts';

/** Values of the path's `:params`, decoded once. */
export type Params = Readonly<Record<string, string>>;

/** The caller, as far as the rules of a route need it. */
export type PolicyCaller =
  | Readonly<{ kind: 'anonymous' }>
  | Readonly<{ kind: 'user'; userId: string; role: string; tenantId: string; bound: boolean }>
  | Readonly<{
      kind: 'service';
      serviceId: string;
      user?: Readonly<{ userId: string; role: string; tenantId: string }>;
    }>;

/** One compiled rule of a route. */
type Rule = Readonly<{
  /** The rule as the configuration has it. */
  text: string;
  /** @returns The code of the refusal; undefined if the rule passes. Called for every request. */
  refusal(caller: PolicyCaller, params: Params): Code | undefined;
  /** Explains the result to a reader. Called for refusals, `countersign test` and `countersign explain`. */
  why(caller: PolicyCaller, params: Params): string;
}>;

/** The rules of a route, in the order in which they refuse. There is at least one. */
export type Policy = readonly [Rule, ...Rule[]];

/** The result of one rule for a caller. `refusal` is undefined if it passes. */
export type Verdict = Readonly<{ rule: string; refusal: Code | undefined; why: string }>;

/** Compiles the rules of a route, once per configuration. */
export function compilePolicy(route: Route): Policy {
  const policy: [Rule, ...Rule[]] = [route.auth === 'service' ? callersRule(route.callers) : authRule(route.auth)];
  if (route.senderConstrained) policy.push(bindingRule);
  const { roles, tenantParam } = route.allow;
  if (roles !== undefined) policy.push(roleRule(roles));
  if (tenantParam !== undefined) policy.push(tenantRule(tenantParam));
  return policy;
}

/**
 * Evaluates every rule of a route, for a reader. The authorize stage evaluates the same compiled rules until one refuses,
 * so they cannot differ.
 */
export function evaluatePolicy(policy: Policy, params: Params, caller: PolicyCaller): readonly Verdict[] {
  return policy.map(({ text, refusal, why }) => ({
    rule: text,
    refusal: refusal(caller, params),
    why: why(caller, params),
  }));
}

/** @returns The code of the first rule that refuses, or undefined if all pass. */
export function refusalOf(verdicts: readonly Verdict[]): Code | undefined {
  return verdicts.find((verdict) => verdict.refusal !== undefined)?.refusal;
}

const authRule = (auth: Exclude<Route['auth'], 'service'>): Rule => ({
  text: `auth: ${auth}`,
  refusal: ({ kind }) => (auth === 'required' && kind === 'anonymous' ? 'token_missing' : undefined),
  why: ({ kind }) => `the caller is ${kind}`,
});

const callersRule = (callers: ReadonlySet<string>): Rule => ({
  text: `callers: ${[...callers].join(', ')}`,
  refusal(caller) {
    if (caller.kind !== 'service') return 'caller_missing';
    return callers.has(caller.serviceId) ? undefined : 'caller_not_allowed';
  },
  why: (caller) => (caller.kind === 'service' ? `the caller is ${caller.serviceId}` : 'the caller is not a service'),
});

/** An anonymous caller has no token to bind; `auth` decides whether it is allowed. */
const bindingRule: Rule = {
  text: 'senderConstrained: required',
  refusal: (caller) => (caller.kind === 'user' && !caller.bound ? 'token_unbound' : undefined),
  why(caller) {
    if (caller.kind !== 'user') return 'there is no token';
    return caller.bound ? 'the token is bound to a key' : 'the token is not bound to a key';
  },
};

const roleRule = (roles: ReadonlySet<string>): Rule => ({
  text: `allow.roles: ${[...roles].join(', ')}`,
  refusal(caller) {
    const role = userOf(caller)?.role;
    return role !== undefined && roles.has(role) ? undefined : 'insufficient_role';
  },
  why(caller) {
    const role = userOf(caller)?.role;
    return role === undefined ? 'the caller has no role' : `the caller's role is ${role}`;
  },
});

const tenantRule = (param: string): Rule => ({
  text: `allow.tenant: :${param}`,
  refusal(caller, params) {
    const tenantId = userOf(caller)?.tenantId;
    return tenantId !== undefined && params[param] === tenantId ? undefined : 'tenant_mismatch';
  },
  why(caller, params) {
    const tenantId = userOf(caller)?.tenantId;
    if (tenantId === undefined) return 'the caller has no tenant';
    if (params[param] === tenantId) return `the caller's tenant is ${tenantId}`;
    return `the path says ${params[param]}, the caller's tenant is ${tenantId}`;
  },
});

function userOf(caller: PolicyCaller): Readonly<{ role: string; tenantId: string }> | undefined {
  if (caller.kind === 'user') return caller;
  return caller.kind === 'service' ? caller.user : undefined;
}
