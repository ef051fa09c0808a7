import type { GatewayConfig, Route } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { assumeClaims } from '../explain/assumed-claims.ts';
import { callerOf } from '../explain/callers.ts';
import type { Params, Policy, PolicyCaller } from '../routing/policy.ts';
import { createRouteTable, routesOn } from '../routing/route-table.ts';
import type { Listener } from './path-shapes.ts';
import type { Decision } from './report-schema.ts';

export type RouteTarget = Readonly<{ code?: undefined; route: Route; policy: Policy; params: Params }>;

/** What a path and a method lead to: a route whose rules decide, or a refusal of everyone. */
export type Target = RouteTarget | Readonly<{ code: Code; route?: Route | undefined; policy?: undefined }>;

/** The token's claims as its issuer writes them, and the service that calls. Without both, the caller is anonymous. */
export type Asked = Readonly<{ payload?: Readonly<Record<string, unknown>> | undefined; service?: string | undefined }>;

/** Decides requests of one configuration with the functions that serve. */
export function createEngine(config: GatewayConfig) {
  const tableOf = (listener: Listener) => createRouteTable(listener, routesOn(listener, config));
  const tables = { public: tableOf('public'), internal: tableOf('internal') };
  return {
    config,
    /** @param method `WebSocket` is a GET that asks for an upgrade. */
    match: (listener: Listener, method: string, path: string): Target =>
      orRefusal(() => {
        const { route, policy, params } = tables[listener].match(method === 'WebSocket' ? 'GET' : method, path);
        const isRefused = method === 'WebSocket' && !route.websocket;
        return isRefused ? { code: 'upgrade_not_allowed', route } : { route, policy, params };
      }),
    /** Decides like the pipeline, from authenticate through authorize. */
    decide(target: Target, { payload, service }: Asked, nowMs: number): Decision {
      if (target.code !== undefined) return { route: null, code: target.code, caller: null };
      const { route } = target;
      const isRead = route.auth !== 'public' && payload !== undefined;
      const assumed = isRead ? assumeClaims(payload, config, nowMs) : undefined;
      if (assumed !== undefined && 'refusedToken' in assumed)
        return { route: route.name, code: assumed.refusedToken.code, caller: null };
      return decisionBy(target, callerOf({ ...assumed, service }));
    },
    /** Decides about a page's preflight request as `cors` does, which leaves none to a route. */
    preflight: (path: string, origin: string, { origins }: NonNullable<GatewayConfig['cors']>): Decision => {
      const found = orRefusal(
        () => ({ code: tables.public.methodsAt(path) === undefined ? 'no_route' : null }) as const,
      );
      const code = origins.includes(origin) ? found.code : 'origin_not_allowed';
      return { route: null, code, caller: code === null ? 'page' : null };
    },
  };
}

export type Engine = ReturnType<typeof createEngine>;

export function orRefusal<Result>(find: () => Result): Result | Readonly<{ code: Code }> {
  try {
    return find();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code as Code };
    throw error;
  }
}

/** Like the authorize stage. */
export function decisionBy({ route, policy, params }: RouteTarget, caller: PolicyCaller): Decision {
  for (const rule of policy) {
    const code = rule.refusal(caller, params);
    if (code !== undefined) return { route: route.name, code, caller: null };
  }
  return { route: route.name, code: null, caller: caller.kind };
}
