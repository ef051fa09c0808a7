import { AppError } from '../errors.ts';
import { headersFrom } from '../http/header-fields.ts';
import { securityHeaders } from '../http/security-headers.ts';
import { parseRequestTarget, type RouteTable } from '../routing/route-table.ts';
import type { Authenticated, Exchange, Incoming, Matched, OwnRequest, Permitted } from './exchange.ts';
import type { ChallengeMetadata } from './request-record.ts';
import type { OwnAnswer } from './resource-metadata.ts';

type Answering = (request: OwnRequest) => OwnAnswer | undefined;

/** Combines the gateway's own responses. The first one that applies wins, and gets the headers that all share. */
export function ownAnswers(...configured: readonly (Answering | undefined)[]): Answering {
  const answers = configured.filter((answer) => answer !== undefined);
  return (incoming) => {
    for (const answer of answers) {
      const own = answer(incoming);
      if (own === undefined) continue;
      const { requestId, cors } = incoming.record;
      const headers = { ...securityHeaders, ...own.headers, ...headersFrom(cors), 'x-request-id': requestId };
      return { ...own, headers };
    }
    return undefined;
  };
}

/** Responds to `OPTIONS *`, which is about the server and not about a resource (RFC 9110 section 9.3.7). */
export function answerOptions({ method, requestTarget, body }: OwnRequest): OwnAnswer | undefined {
  if (requestTarget !== '*' || method !== 'OPTIONS') return undefined;
  if (body.present) throw new AppError('body_not_allowed');
  return { status: 204, headers: {} };
}

/**
 * Finds the route by the bytes of the request target, and sets the path and query that the service receives. Decodes
 * and normalizes nothing: the gateway signs and sends the bytes that it matched (CVE-2026-33494).
 *
 * @param metadata For challenges. Only the public listener has it.
 *
 * The stage throws AppError `invalid_target`, `uri_too_long`, `no_route`, and `method_not_allowed` with `Allow`. It
 * throws `upgrade_not_allowed` if the route does not accept WebSockets.
 */
export function createMatch(
  table: RouteTable,
  listener: 'public' | 'internal',
  metadata?: ChallengeMetadata,
): (incoming: Incoming) => Matched {
  return (incoming) => {
    incoming.record.isInternal = listener === 'internal';
    incoming.record.isUpgrade = incoming.kind === 'upgrade';
    const parsed = parseRequestTarget(incoming.requestTarget);
    const { route, policy, params, path } = table.match(incoming.method, parsed.path);
    const exchange: Exchange = incoming;
    const { record } = exchange;
    record.route = route.name;
    record.schemes = route.schemes;
    record.scopes = route.allow.scopes;
    record.metadata = metadata;
    record.host = exchange.client?.host;
    record.upstream = route.upstream.name;
    if (exchange.kind === 'upgrade' && !route.websocket) throw new AppError('upgrade_not_allowed');
    record.rule = `auth: ${route.auth}`;
    exchange.route = route;
    exchange.policy = policy;
    exchange.params = params;
    exchange.path = path;
    exchange.query = parsed.query;
    return incoming as Matched;
  };
}

/**
 * Evaluates the route's policy for this caller on every request. The token cache contains identities, never decisions
 * (CVE-2021-32701).
 *
 * The stage throws AppError with the code of the first rule that refuses the request, such as `token_missing`,
 * `insufficient_role` or `tenant_mismatch`.
 */
export function authorize(authenticated: Authenticated): Permitted {
  const { policy, params, caller, record } = authenticated;
  for (const rule of policy) {
    record.rule = rule.text;
    const refusal = rule.refusal(caller, params);
    if (refusal !== undefined) throw new AppError(refusal, { detail: { why: rule.why(caller, params) } });
  }
  record.allowedBy = record.rule;
  record.rule = undefined;
  return authenticated as Permitted;
}
