import type { GatewayConfig, Route } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { assumeClaims } from '../explain/assumed-claims.ts';
import { callerOf, type Requester } from '../explain/callers.ts';
import { configuredStages } from '../pipeline/configured-stages.ts';
import { RequestRecord } from '../pipeline/request-record.ts';
import type { Params, Policy, PolicyCaller } from '../routing/policy.ts';
import { createRouteTable, routesOn } from '../routing/route-table.ts';
import type { Listener } from './path-shapes.ts';
import type { Decision, Method } from './report-schema.ts';

/** What a path and a method lead to: a refusal of everyone, or a route whose rules decide. */
export type Target =
  | Readonly<{ code: Code; route?: undefined }>
  | Readonly<{ route: Route; policy: Policy; params: Params }>;

/** The token's claims as its issuer writes them, and the service that calls. Without both, the caller is anonymous. */
export type Asked = Readonly<{ payload?: Readonly<Record<string, unknown>> | undefined; service?: string | undefined }>;

/** Decides requests of one configuration with the functions that serve. */
export function createEngine(config: GatewayConfig, nowMs: number) {
  const tableOf = (listener: Listener) => createRouteTable(listener, routesOn(listener, config));
  const tables = { public: tableOf('public'), internal: tableOf('internal') };
  const { answerItself } = configuredStages('public', config, tables.public);

  function match(listener: Listener, method: Method, path: string): Target {
    try {
      const matched = tables[listener].match(method === 'WebSocket' ? 'GET' : method, path);
      return method === 'WebSocket' && !matched.route.websocket ? { code: 'upgrade_not_allowed' } : matched;
    } catch (error) {
      if (error instanceof AppError) return { code: error.code as Code };
      throw error;
    }
  }
  return {
    config,
    match,
    /** Decides like the pipeline, from match through authorize. */
    decide(listener: Listener, method: Method, path: string, asked: Asked): Decision {
      const target = match(listener, method, path);
      return decideFor(target, asked, config, nowMs);
    },
    /** Decides about a page's preflight request. A gateway without `cors` leaves it to a route. */
    preflight(path: string, origin: string): Decision {
      const headers = ['origin', origin, 'access-control-request-method', 'GET'];
      const request = {
        method: 'OPTIONS',
        requestTarget: path,
        headers,
        client: { address: '', protocol: 'https', host: '', origin },
        body: { present: false, length: undefined, type: undefined, encoding: undefined },
        record: new RequestRecord('', 'OPTIONS', path, 0),
      } as const;
      try {
        const answer = answerItself(request);
        if (answer !== undefined) return { route: null, code: null, caller: 'page' };
      } catch (error) {
        if (error instanceof AppError) return { route: null, code: error.code as Code, caller: null };
        throw error;
      }
      return decideFor(match('public', 'OPTIONS', path), {}, config, nowMs);
    },
  };
}

export type Engine = ReturnType<typeof createEngine>;

function decideFor(target: Target, { payload, service }: Asked, config: GatewayConfig, nowMs: number): Decision {
  if (target.route === undefined) return { route: null, code: target.code, caller: null };
  const { route, policy, params } = target;
  const isRead = route.auth !== 'public' && payload !== undefined;
  const assumed = isRead ? assumeClaims(payload, config, nowMs) : undefined;
  if (assumed !== undefined && 'refusedToken' in assumed)
    return { route: route.name, code: assumed.refusedToken.code, caller: null };
  const requester: Requester = { ...assumed, service };
  return decisionBy(route, policy, callerOf(requester), params);
}

/** Like the authorize stage. */
export function decisionBy(route: Route, policy: Policy, caller: PolicyCaller, params: Params): Decision {
  for (const rule of policy) {
    const code = rule.refusal(caller, params);
    if (code !== undefined) return { route: route.name, code, caller: null };
  }
  return { route: route.name, code: null, caller: caller.kind };
}
