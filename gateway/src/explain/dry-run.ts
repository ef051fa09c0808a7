import type { GatewayConfig, Route } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { evaluatePolicy, type PolicyCaller, refusalOf, type Verdict } from '../routing/policy.ts';
import { parseTarget, rewritePath } from '../routing/request-target.ts';
import { compileRoutes, type RouteTable } from '../routing/route-table.ts';
import { refusedEarlier, whyMachineRefused } from './assumed-caller.ts';

/** The outcome of a request, without limits, bodies and services. */
export type Decision = Readonly<{
  /** Undefined if the request reaches the upstream. */
  refusal: Code | undefined;
  /** For the reader: why the request ended before the route's rules were evaluated. */
  why: string | undefined;
  allow: readonly string[] | undefined;
  route: Route | undefined;
  verdicts: readonly Verdict[];
  /** The path and query that the upstream receives. */
  path: string | undefined;
  query: string;
}>;

export type Question = Readonly<{ method: string; target: string; caller: PolicyCaller }>;

/**
 * Decides requests for a configuration with the code that serves them: the same target rules, table and policy.
 * Services call on the internal listener, all other callers on the public one.
 */
export function createDryRun(config: GatewayConfig): (question: Question) => Decision {
  const tables = {
    public: compileRoutes('public', config),
    internal: compileRoutes('internal', config),
  };
  return (question) => {
    const decision = decide(question.caller.kind === 'service' ? tables.internal : tables.public, question);
    const earlier = decision.route && decision.route.auth !== 'public' && refusedEarlier(question.caller, config);
    return earlier ? { ...decision, refusal: earlier, why: whyMachineRefused, path: undefined } : decision;
  };
}

const nothing = { allow: undefined, route: undefined, verdicts: [], path: undefined, query: '' } as const;

function decide(table: RouteTable, { method, target, caller }: Question): Decision {
  let path: string;
  let query: string;
  try {
    ({ path, query } = parseTarget(target));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { ...nothing, refusal: error.code as Code, why: String(error.detail?.reason ?? 'too long') };
  }
  const match = table.match(method, path);
  if (match.kind === 'no_route') return { ...nothing, refusal: 'no_route', why: 'no route has this path' };
  if (match.kind === 'method_not_allowed') {
    const why = `this path takes ${match.allow.join(', ')}`;
    return { ...nothing, refusal: 'method_not_allowed', why, allow: match.allow };
  }
  const { route, policy, params } = match;
  const verdicts = evaluatePolicy(policy, params, caller);
  const refusal = refusalOf(verdicts);
  const sent = refusal === undefined ? rewritePath(path, route.rewrite) : undefined;
  return { refusal, why: undefined, allow: undefined, route, verdicts, path: sent, query };
}
