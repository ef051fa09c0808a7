import { AppError } from '../errors.ts';
import type { Incoming, Matched, Unmarked } from '../exchange.ts';
import { rewritePath } from '../routing/rewrite.ts';
import type { RouteTable } from '../routing/route-table.ts';
import { parseTarget } from '../routing/target.ts';

/**
 * Finds the request's route by the bytes of its target, and settles the bytes that the service will get. Nothing is decoded
 * or normalized on the way: what is matched is what is signed and sent (CVE-2026-33494).
 *
 * The stage throws AppError `invalid_target`, `uri_too_long`, `no_route`, `method_not_allowed` with `Allow`, and
 * `upgrade_not_allowed` where the route is not for WebSockets.
 */
export function createMatch(table: RouteTable): (incoming: Incoming) => Matched {
  return (incoming) => {
    const target = parseTarget(incoming.rawTarget);
    const match = table.match(incoming.method, target.path);
    if (match.kind === 'no_route') throw new AppError('no_route');
    if (match.kind === 'method_not_allowed') {
      throw new AppError('method_not_allowed', { headers: { allow: match.allow.join(', ') } });
    }
    const { route, params } = match;
    incoming.record.route = route.name;
    incoming.record.rule = `auth: ${route.auth}`;
    incoming.record.schemes = route.schemes;
    incoming.record.upstream = route.upstream.name;
    if (incoming.kind === 'upgrade' && !route.websocket) throw new AppError('upgrade_not_allowed');
    const path = rewritePath(target.path, route.rewrite);
    const matched: Unmarked<Matched> = { ...incoming, route, params, path, query: target.query };
    return matched as Matched;
  };
}
