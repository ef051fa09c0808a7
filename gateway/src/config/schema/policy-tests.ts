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
          issuer: text.optional().describe('The issuer of the token, by `issuer` or `name`. Default: the first one.'),
          userId: id.optional().describe('The user id in the token. Without it, the caller is the machine `client`.'),
          role: role.optional().describe('The role in the token. Required for a user.'),
          tenantId: id.optional().describe('The tenant id in the token. Required for a user.'),
          client: partyName.optional().describe('The machine; with `userId`, the client through which the user came.'),
          scope: unique(scopeName).prefault([]).describe('The scopes of the token.'),
          actor: actor.optional().describe('The actor in the token: its `sub`, or { iss, sub }.'),
          claims: claimValues.optional().describe('Further claims of the token, each with its values.'),
          bound: z.boolean().default(false).describe('Whether the token is bound to a key (DPoP), with a proof.'),
        })
        .optional()
        .describe('The caller with a valid token, or the one that `service` acts for. Default: anonymous.'),
      service: name.optional().describe('The calling service, on the internal listener.'),
    })
    .transform(({ path: requestTarget, ...request }) => ({ ...request, requestTarget }))
    .describe('The request.'),
  expect: z
    .strictObject({
      allowed: z.boolean().describe('Whether the request reaches an upstream.'),
      status: wholeNumber(400, 599).optional().describe('The status of the refusal.'),
      code: text.optional().describe('The error code of the refusal.'),
      route: name.optional().describe('The route that matches.'),
      upstream: name.optional().describe('The upstream that receives the request.'),
      path: text.optional().describe('The path that the upstream receives.'),
    })
    .describe('The expected result.'),
});

type TestPart = z.output<typeof testCase>;

/** One entry of the `tests:` block. `at` is its `file:line:column`, for the report. */
export type PolicyTest = Immutable<TestPart & { at: string }>;

/** The caller of a test: a user, or a machine if there is no `userId`. */
export type TestCaller = NonNullable<PolicyTest['request']['as']>;

type Kind = 'issuers' | 'routes' | 'upstreams' | 'services';

/** The names that a test may use. If undefined is among them, any name could belong to a malformed entry. */
type KnownNames = Readonly<Record<Kind, ReadonlySet<string | undefined>>>;

/** Checks that tests use names of the configuration, and that each expects either a request or a refusal. */
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
        refuseHere(path, `"${given}" is not ${kind} of the configuration`);
      }
    }
    checkCaller(request?.as, refuseHere);
    if (expect === undefined) continue;
    for (const key of expect.allowed ? (['status', 'code'] as const) : (['upstream', 'path'] as const)) {
      if (expect[key] === undefined) continue;
      refuseHere(['expect', key], expect.allowed ? 'belongs to a refusal' : 'a refused request has none');
    }
  }
}

function checkCaller(as: TestPart['request']['as'], refuse: Refuse): void {
  if (as === undefined) return;
  const path = ['request', 'as'];
  if (as.userId === undefined) {
    if (as.client !== undefined) return;
    refuse([...path, 'userId'], 'a test is as a user, or as a machine: set userId, or client');
    return;
  }
  if (as.role === undefined) refuse([...path, 'role'], 'is required with userId');
  if (as.tenantId === undefined) refuse([...path, 'tenantId'], 'is required with userId');
}
