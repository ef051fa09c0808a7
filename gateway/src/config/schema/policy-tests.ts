import { z } from 'zod';
import { actor, claimValues } from './allow.ts';
import type { Pieces, Refuse } from './cross-checks.ts';
import { method } from './routes.ts';
import { id, name, partyName, role, scopeName, text, unique, wholeNumber } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';

export const testCase = z.strictObject({
  request: z
    .strictObject({
      method: method.describe('The request method.'),
      path: text.describe('The request target.'),
      as: z
        .strictObject({
          issuer: text.optional().describe("The token's issuer, by `issuer` or `name`. Default: the first issuer."),
          userId: id.optional().describe('The user id in the token. If absent, the caller is the machine `client`.'),
          role: role.optional().describe('The role in the token. Required for a user.'),
          tenantId: id.optional().describe('The tenant id in the token. Required for a user.'),
          client: partyName
            .optional()
            .describe('The OAuth client that calls for itself; with `userId`, the one that the user logged in with.'),
          scope: unique(scopeName).prefault([]).describe('The scopes in the token.'),
          actor: actor.optional().describe('The actor in the token: its `sub`, or { iss, sub }.'),
          claims: claimValues.optional().describe('Other claims in the token, each with its values.'),
          bound: z
            .boolean()
            .default(false)
            .describe('Whether the token is bound to a key (DPoP) and comes with a proof.'),
        })
        .optional()
        .describe('The caller whose token is valid, or whom `service` acts for. Default: anonymous.'),
      service: name.optional().describe('The service that calls, on the internal listener.'),
    })
    .transform(({ path: requestTarget, ...request }) => ({ ...request, requestTarget }))
    .describe('The request.'),
  expect: z
    .strictObject({
      allowed: z.boolean().describe('Whether the gateway forwards the request.'),
      status: wholeNumber(400, 599).optional().describe('The HTTP status of the refusal.'),
      code: text.optional().describe('The error code in the refusal.'),
      route: name.optional().describe('The route that the request matches.'),
      upstream: name.optional().describe('The upstream that receives the request.'),
      path: text.optional().describe('The path that the upstream receives.'),
    })
    .describe('What the gateway should do.'),
});

type TestPart = z.output<typeof testCase>;

/** One entry in the `tests:` block. `at` is its `file:line:column`, for the report. */
export type PolicyTest = Immutable<TestPart & { at: string }>;

/** A test's caller: a user, or a machine if there is no `userId`. */
export type TestCaller = NonNullable<PolicyTest['request']['as']>;

type Kind = 'issuers' | 'routes' | 'upstreams' | 'services';

/** The names that a test may use. If a set contains undefined, any name could belong to a malformed entry. */
type KnownNames = Readonly<Record<Kind, ReadonlySet<string | undefined>>>;

/**
 * Checks that tests use names from the configuration, and that each expects either a forwarded request or a refusal.
 */
export function checkTests(tests: readonly Pieces<TestPart>[], known: KnownNames, refuse: Refuse): void {
  for (const [index, { request, expect }] of tests.entries()) {
    const refuseHere: Refuse = (at, message) => refuse(['tests', index, ...at], message);
    const names = [
      [['request', 'service'], 'a service', request?.service, known.services],
      [['request', 'as', 'issuer'], 'an issuer', request?.as?.issuer, known.issuers],
      [['expect', 'route'], 'a route', expect?.route, known.routes],
      [['expect', 'upstream'], 'an upstream', expect?.upstream, known.upstreams],
    ] as const;
    for (const [path, kind, given, all] of names) {
      if (given !== undefined && !all.has(given) && !all.has(undefined)) {
        refuseHere(path, `"${given}" is not ${kind} in the configuration`);
      }
    }
    checkCaller(request?.as, refuseHere);
    if (expect === undefined) continue;
    for (const key of expect.allowed ? (['status', 'code'] as const) : (['upstream', 'path'] as const)) {
      if (expect[key] === undefined) continue;
      refuseHere(['expect', key], expect.allowed ? 'only a refusal has this' : 'a refused request has none');
    }
  }
}

function checkCaller(as: TestPart['request']['as'], refuse: Refuse): void {
  if (as === undefined) return;
  const path = ['request', 'as'];
  if (as.userId === undefined) {
    if (as.client !== undefined) return;
    refuse([...path, 'userId'], 'the caller is a user or a machine: set userId or client');
    return;
  }
  if (as.role === undefined) refuse([...path, 'role'], 'is required with userId');
  if (as.tenantId === undefined) refuse([...path, 'tenantId'], 'is required with userId');
}
