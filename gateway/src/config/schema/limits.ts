import { z } from 'zod';
import type { Refuse } from './cross-checks.ts';
import { seconds, wholeNumber } from './values/scalars.ts';
import type { Immutable } from './values/shapes.ts';

const limit = z
  .strictObject({
    requests: wholeNumber(1, 1_000_000).describe('How many requests are allowed in the period.'),
    per: seconds({ min: '1s', max: '1d' }).describe('The period.'),
    by: z
      .enum(['user', 'client', 'tenant', 'address', 'route'])
      .describe(
        'How to group requests for counting. Anonymous callers are counted by address; machines have their own buckets.',
      ),
    onStoreFailure: z
      .enum(['local', 'deny'])
      .default('local')
      .describe('What to do while Redis is unavailable: `local` counts in each process, and `deny` responds with 503.'),
  })
  .transform(({ per, ...rest }) => ({ ...rest, perSec: per }));

export const limits = z
  .array(limit)
  .max(8)
  .prefault([])
  .describe('The rate limits. A request must be within all of them.');

/** Allows at most `requests` in any `perSec` seconds. `by: user` counts anonymous callers by address. */
export type Limit = Immutable<z.output<typeof limit>>;

export function checkLimits(auth: string | undefined, given: readonly Limit[], refuse: Refuse): void {
  for (const [index, { by }] of given.entries()) {
    if (auth !== 'public' || by === 'address' || by === 'route') continue;
    refuse(
      ['limits', index, 'by'],
      `a public route has no ${by === 'client' ? 'OAuth client' : by}: count by address or route`,
    );
  }
}
