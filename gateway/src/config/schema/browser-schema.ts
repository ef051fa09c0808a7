import { foldHeaderName, isReservedHeader } from '@countersign/identity';
import { z } from 'zod';
import { headerName, seconds, unique } from './scalars.ts';
import { publicOrigin } from './url-scalars.ts';

/** One by one: `*` would also mean what nobody thought of, and means nothing where credentials are sent. */
const namedHeader = headerName.refine((name) => name !== '*', { error: 'must name headers one by one, "*" is none' });

const settableHeader = namedHeader.refine((name) => !isReservedHeader(foldHeaderName(name)), {
  error: 'is a header that only the gateway writes: it would be dropped',
});

export const cors = z.strictObject({
  origins: unique(publicOrigin).min(1).max(1_000).describe('Whose pages may read answers, and open WebSockets.'),
  credentials: z.boolean().default(false).describe('Whether browsers may send cookies along, and keep those they get.'),
  headers: unique(settableHeader).prefault([]).describe('More request headers that pages may set.'),
  expose: unique(namedHeader).prefault([]).describe('More headers of answers that pages may read.'),
  maxAge: seconds({ min: '1s', max: '1d' }).prefault('10m').describe('How long browsers may remember this.'),
});

export const websockets = z
  .strictObject({
    maxPerUser: z
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('How many one user may have open, over all routes of a process. An anonymous one counts by address.'),
  })
  .prefault({})
  .describe('WebSockets, on every route that takes them.');
