import type { Route } from '../config/config.ts';
import type { Code } from '../errors.ts';
import type { Params } from './route-table.ts';

/** The caller, as far as the rules of a route need it. */
export type PolicyCaller =
  | Readonly<{ kind: 'anonymous' }>
  | Readonly<{ kind: 'user'; userId: string; role: string; tenantId: string; bound: boolean }>
  | Readonly<{
      kind: 'service';
      serviceId: string;
      user?: Readonly<{ userId: string; role: string; tenantId: string }>;
    }>;

/** The result of one rule for a caller. `refusal` is undefined if it passes. */
export type Verdict = Readonly<{ rule: string; refusal: Code | undefined; why: string }>;

/**
 * Evaluates every rule of a route, in the order in which they refuse. The authorize stage, `countersign test` and
 * `countersign explain` all call this, so they cannot differ.
 */
export function evaluatePolicy(route: Route, params: Params, caller: PolicyCaller): readonly Verdict[] {
  const verdicts = [judgeAuth(route, caller)];
  if (route.senderConstrained) verdicts.push(judgeBinding(caller));
  const user = userOf(caller);
  const { roles, tenantParam } = route.allow;
  if (roles !== undefined) verdicts.push(judgeRole(roles, user?.role));
  if (tenantParam !== undefined) verdicts.push(judgeTenant(tenantParam, params[tenantParam], user?.tenantId));
  return verdicts;
}

/** @returns The code of the first rule that refuses, or undefined if all pass. */
export function refusalOf(verdicts: readonly Verdict[]): Code | undefined {
  return verdicts.find((verdict) => verdict.refusal !== undefined)?.refusal;
}

function judgeAuth(route: Route, caller: PolicyCaller): Verdict {
  const rule = `auth: ${route.auth}`;
  if (route.auth === 'service') return judgeCaller(route, caller);
  if (route.auth === 'required' && caller.kind === 'anonymous') {
    return { rule, refusal: 'token_missing', why: 'the caller is anonymous' };
  }
  return { rule, refusal: undefined, why: `the caller is ${caller.kind}` };
}

/** An anonymous caller has no token to bind; `auth` decides whether it is allowed. */
function judgeBinding(caller: PolicyCaller): Verdict {
  const rule = 'senderConstrained: required';
  if (caller.kind !== 'user') return { rule, refusal: undefined, why: 'there is no token' };
  if (caller.bound) return { rule, refusal: undefined, why: 'the token is bound to a key' };
  return { rule, refusal: 'token_unbound', why: 'the token is not bound to a key' };
}

function judgeCaller(route: Route, caller: PolicyCaller): Verdict {
  const rule = `callers: ${[...route.callers].join(', ')}`;
  if (caller.kind !== 'service') return { rule, refusal: 'caller_missing', why: 'the caller is not a service' };
  if (!route.callers.has(caller.serviceId)) {
    return { rule, refusal: 'caller_not_allowed', why: `the caller is ${caller.serviceId}` };
  }
  return { rule, refusal: undefined, why: `the caller is ${caller.serviceId}` };
}

function judgeRole(roles: ReadonlySet<string>, role: string | undefined): Verdict {
  const rule = `allow.roles: ${[...roles].join(', ')}`;
  if (role !== undefined && roles.has(role)) return { rule, refusal: undefined, why: `the caller's role is ${role}` };
  return {
    rule,
    refusal: 'insufficient_role',
    why: role === undefined ? 'the caller has no role' : `the caller's role is ${role}`,
  };
}

function judgeTenant(param: string, wanted: string | undefined, tenantId: string | undefined): Verdict {
  const rule = `allow.tenant: :${param}`;
  if (tenantId !== undefined && wanted === tenantId) {
    return { rule, refusal: undefined, why: `the caller's tenant is ${tenantId}` };
  }
  return {
    rule,
    refusal: 'tenant_mismatch',
    why:
      tenantId === undefined
        ? 'the caller has no tenant'
        : `the path says ${wanted}, the caller's tenant is ${tenantId}`,
  };
}

function userOf(caller: PolicyCaller): Readonly<{ role: string; tenantId: string }> | undefined {
  if (caller.kind === 'user') return caller;
  return caller.kind === 'service' ? caller.user : undefined;
}
