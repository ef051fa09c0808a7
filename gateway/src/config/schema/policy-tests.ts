import { z } from 'zod';
import { actor, claimValues, method } from './routes.ts';
import { operations } from './values/key-class.ts';
import { id, name, partyName, role, scopeName, text, unique, wholeNumber } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';

export const testCase = z.strictObject({
  request: z
    .strictObject({
      method: method.meta(operations('The request method.')),
      path: text.meta(operations('The request target.')),
      as: z
        .strictObject({
          issuer: text
            .optional()
            .meta(operations("The token's issuer, by `issuer` or `name`. Default: the first issuer.")),
          userId: id
            .optional()
            .meta(operations('The user id in the token. Default: the caller is the client in `client`.')),
          role: role.optional().meta(operations('The role in the token. Required for a user.')),
          tenantId: id.optional().meta(operations('The tenant id in the token. Required for a user.')),
          client: partyName
            .optional()
            .meta(operations('The OAuth client that calls for itself; with `userId`, the application of the user.')),
          scope: unique(scopeName).prefault([]).meta(operations('The scopes in the token.')),
          actor: actor.optional().meta(operations('The actor in the token: its `sub`, or { iss, sub }.')),
          claims: claimValues.optional().meta(operations('Other claims in the token, each with its values.')),
          bound: z
            .boolean()
            .default(false)
            .meta(operations('Whether the token is bound to a key (DPoP) and comes with a proof.')),
        })
        .optional()
        .describe('The caller with a valid token, or for whom `service` acts. Default: anonymous.'),
      service: name.optional().meta(operations('The service that calls, on the internal listener.')),
    })
    .transform(({ path: requestTarget, ...request }) => ({ ...request, requestTarget }))
    .describe('The request.'),
  expect: z
    .strictObject({
      allowed: z.boolean().meta(operations('Whether the gateway forwards the request.')),
      status: wholeNumber(400, 599).optional().meta(operations('The HTTP status of the refusal.')),
      code: text.optional().meta(operations('The error code in the refusal.')),
      route: name.optional().meta(operations('The route that the request matches.')),
      upstream: name.optional().meta(operations('The upstream that receives the request.')),
      path: text.optional().meta(operations('The path that the upstream receives.')),
    })
    .describe('What the gateway should do.'),
});

type TestPart = z.output<typeof testCase>;

/** One entry in the `tests:` block. `at` is its `file:line:column`, for the report. */
export type PolicyTest = Immutable<TestPart & { at: string }>;

/** A test's caller: a user, or an OAuth client if there is no `userId`. */
export type TestCaller = NonNullable<PolicyTest['request']['as']>;
