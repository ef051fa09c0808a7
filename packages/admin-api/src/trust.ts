import { z } from 'zod';
import { fromWorst, known, listOf, mergedBy, mergeMembers, mostFirst, newestFirst } from './merge.ts';
import { count, counted, highest, ms, since, text, time, total } from './values.ts';

// The issuers that the gateway trusts, and their revocations.

const issuer = fromWorst(
  z
    .object({
      issuer: z.string(),
      name: text,
      provider: text,
      source: z
        .string()
        .describe('The URL or the file of its keys, with the names of variables in place of their values.'),
      state: since,
      keys: z.array(
        z.object({ kid: z.string(), algorithm: z.string(), since: time.describe('When this process loaded it.') }),
      ),
      confirmed: time.nullable().describe('When the key set was last confirmed.'),
      next_fetch: time.nullable(),
      fetches: total,
      failed_fetches: total,
      failure: z.object({ reason: z.string(), in_a_row: count }).nullable().describe('While fetches fail.'),
      ignored: z.array(z.object({ kid: text, reason: z.string() })).describe('Unusable keys.'),
      verified: total.describe('Tokens, not requests: a verified token is cached.'),
      refused: counted.describe('Tokens that were refused when they were verified, by code.'),
    })
    .meta({ id: 'Issuer' }),
  ['current', 'cannot be refreshed', 'none'],
);
export type Issuer = z.output<typeof issuer>;

const gatewayKey = z.object({
  kid: z.string(),
  algorithm: z.string(),
  state: z.enum(['in use', 'next', 'replaced', 'expired']),
  from: time.describe('When it becomes usable. It is published earlier.'),
  until: time.nullable().describe('Null if it is usable until retired.'),
});

export const issuerList = z.object({
  issuers: listOf(issuer, (one) => one.issuer),
  gateway_keys: z.array(gatewayKey).describe('The keys of this gateway, with which it signs or encrypts identity.'),
  unknown: counted.describe('Refused tokens that name none of these issuers, or that are malformed.'),
  refused_requests: listOf(
    z.object({ code: z.string(), title: z.string(), count: total }),
    ({ code }) => code,
    mostFirst,
  ).describe('Requests that were refused because of their token, on all routes.'),
  cache: z.object({ size: total, hits: total, misses: total, refused_from_memory: total }),
});

const lag = z.object({ last_ms: z.number(), max_ms: highest, count, last_at: time });
// Each process receives every revocation.
mergedBy(lag, (lags) => mergeMembers(lag, lags.toSorted(newestFirst('last_at'))));
export type Lag = z.output<typeof lag>;

const revocations = fromWorst(
  z
    .object({
      issuer: z.string(),
      source: z.string().describe('The URL of the feed, with the names of variables in place of their values.'),
      state: since,
      held: mergedBy(z.int().nonnegative(), (all) => Math.max(...all)).describe('Revocations in force.'),
      staleness_ms: mergedBy(ms.clone(), (all) => (all.includes(null) ? null : Math.max(...all.map(Number)))).describe(
        'Since the feed last reported no further items.',
      ),
      max_staleness_ms: z.number(),
      on_stale: z.enum(['allow', 'deny']),
      refused_before: known(time).describe(
        'All older tokens are refused, because there are more revocations than fit in memory.',
      ),
      lag: known(lag).describe(
        'From the time a revocation takes effect until it is in force here. Null if none arrived since the start.',
      ),
      answers: total,
      failures: total,
      snapshots: total,
      unknown_items: total,
    })
    .meta({ id: 'Revocations' }),
  ['current', 'stale', 'not read'],
);
export type Revocations = z.output<typeof revocations>;

export const revocationList = z.object({
  issuers: listOf(revocations, (one) => one.issuer),
  without: z.array(z.string()).describe('Issuers without a feed: their tokens end at `exp`.'),
});
