import { z } from 'zod';
import { method } from './routes.ts';
import type { Pieces, Refuse } from './rules.ts';
import { id, name, role, text, wholeNumber } from './values/scalars.ts';

export const testCase = z.strictObject({
  request: z
    .strictObject({
      method: method.describe('The request method.'),
      path: text.describe('The request target.'),
      as: z
        .strictObject({
          userId: id.describe('The user id in the token.'),
          role: role.describe('The role in the token.'),
          tenantId: id.describe('The tenant id in the token.'),
          bound: z
            .boolean()
            .default(false)
            .describe('Whether the token is bound to a key (DPoP) and comes with a valid proof.'),
        })
        .optional()
        .describe('The user with a valid token, or the user that `service` acts for. Default: anonymous.'),
      service: name.optional().describe('The calling service, on the internal listener.'),
    })
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

export type TestPart = z.output<typeof testCase>;

/** The names that a test may use. Undefined: a malformed entry may be the one that is meant. */
export type KnownNames = Readonly<{
  routes: ReadonlySet<string | undefined> | undefined;
  upstreams: Pick<ReadonlySet<string>, 'has'>;
  services: Pick<ReadonlySet<string>, 'has'>;
}>;

/** Checks that tests use names of the configuration, and that each expects either a request or a refusal. */
export function checkTests(tests: readonly Pieces<TestPart>[], known: KnownNames, refuse: Refuse): void {
  for (const [index, { request, expect }] of tests.entries()) {
    const refuseKey = (part: string, key: string, message: string) => refuse(['tests', index, part, key], message);
    if (request?.service !== undefined && !known.services.has(request.service)) {
      refuseKey('request', 'service', `"${request.service}" is not a service of the configuration`);
    }
    if (expect === undefined) continue;
    if (expect.route !== undefined && known.routes?.has(expect.route) === false) {
      refuseKey('expect', 'route', `"${expect.route}" is not a route of the configuration`);
    }
    if (expect.upstream !== undefined && !known.upstreams.has(expect.upstream)) {
      refuseKey('expect', 'upstream', `"${expect.upstream}" is not an upstream of the configuration`);
    }
    for (const key of expect.allowed ? (['status', 'code'] as const) : (['upstream', 'path'] as const)) {
      if (expect[key] === undefined) continue;
      refuseKey('expect', key, expect.allowed ? 'belongs to a refusal' : 'a refused request has none');
    }
  }
}
