import { z } from 'zod';
import { method } from './routes.ts';
import type { Pieces, Refuse } from './rules.ts';
import { id, name, role, text, wholeNumber } from './scalars.ts';

export const testCase = z.strictObject({
  request: z
    .strictObject({
      method: method.describe('The method.'),
      path: text.describe('The request target.'),
      as: z
        .strictObject({
          userId: id.describe('The user in its token.'),
          role: role.describe('The role in its token.'),
          tenantId: id.describe('The tenant in its token.'),
          bound: z.boolean().default(false).describe('Whether its token is bound to a key (DPoP), with a good proof.'),
        })
        .optional()
        .describe(
          'A user with a good token, or whom `service` acts for. Without it, and without `service`: anonymous.',
        ),
      service: name.optional().describe('A calling service, on the internal listener.'),
    })
    .describe('What is asked.'),
  expect: z
    .strictObject({
      allowed: z.boolean().describe('Whether it reaches an upstream.'),
      status: wholeNumber(400, 599).optional().describe('Of the refusal.'),
      code: text.optional().describe('Of the refusal.'),
      route: name.optional().describe('The route that is chosen.'),
      upstream: name.optional().describe('The upstream that gets it.'),
      path: text.optional().describe('The path that the upstream gets.'),
    })
    .describe('What must become of it.'),
});

export type TestPart = z.output<typeof testCase>;

/** The names that a test may use. Undefined: a malformed entry may be the one that is meant. */
export type KnownNames = Readonly<{
  routes: ReadonlySet<string | undefined> | undefined;
  upstreams: Pick<ReadonlySet<string>, 'has'>;
  services: Pick<ReadonlySet<string>, 'has'>;
}>;

/** A test names what the configuration has, and expects either a request or a refusal. */
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
