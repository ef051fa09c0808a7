import type { GatewayConfig, Route } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { type Caller, refusalOf, type Verdict, verdictsOn } from './policy.ts';
import { rewritePath } from './rewrite.ts';
import { compileRoutes, type RouteTable, routesOn } from './route-table.ts';
import { parseTarget } from './target.ts';

/** What would become of a request, up to the point where limits, bodies and services come in. */
export type Decision = Readonly<{
  /** Undefined: it reaches the upstream. */
  refusal: Code | undefined;
  /** For a person: why it ended before a route's own rules could speak. */
  why: string | undefined;
  allow: readonly string[] | undefined;
  route: Route | undefined;
  verdicts: readonly Verdict[];
  /** What the upstream gets: path and query. */
  path: string | undefined;
  query: string;
}>;

export type Question = Readonly<{ method: string; target: string; caller: Caller }>;

/**
 * Answers questions about a configuration with the code that serves it: the same target rules, table and policy.
 * Services ask on the internal listener, everybody else on the public one.
 */
export function createDecider(config: GatewayConfig): (question: Question) => Decision {
  const tables = {
    public: compileRoutes(routesOn('public', config)),
    internal: compileRoutes(routesOn('internal', config)),
  };
  return (question) => decide(question.caller.kind === 'service' ? tables.internal : tables.public, question);
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
  const { route, params } = match;
  const verdicts = verdictsOn(route, params, caller);
  const refusal = refusalOf(verdicts);
  const sent = refusal === undefined ? rewritePath(path, route.rewrite) : undefined;
  return { refusal, why: undefined, allow: undefined, route, verdicts, path: sent, query };
}
