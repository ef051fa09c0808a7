import { z } from 'zod';
import { actor, claimValues, method } from './routes.ts';
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
          userId: id.optional().describe('The user id in the token. Default: the caller is the client in `client`.'),
          role: role.optional().describe('The role in the token. Required for a user.'),
          tenantId: id.optional().describe('The tenant id in the token. Required for a user.'),
          client: partyName
            .optional()
            .describe('The OAuth client that calls for itself; with `userId`, the application of the user.'),
          scope: unique(scopeName).prefault([]).describe('The scopes in the token.'),
          actor: actor.optional().describe('The actor in the token: its `sub`, or { iss, sub }.'),
          claims: claimValues.optional().describe('Other claims in the token, each with its values.'),
          bound: z
            .boolean()
            .default(false)
            .describe('Whether the token is bound to a key (DPoP) and comes with a proof.'),
        })
        .optional()
        .describe('The caller with a valid token, or for whom `service` acts. Default: anonymous.'),
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

/** A test's caller: a user, or an OAuth client if there is no `userId`. */
export type TestCaller = NonNullable<PolicyTest['request']['as']>;
