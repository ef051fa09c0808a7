import { z } from 'zod';
import { first, fromWorst, known, listOf, mergedBy, mergeMembers, mostFirst, newestFirst } from './merge.ts';
import { count, counted, highest, latestTime, ms, since, text, time, total } from './values.ts';

// The issuers that the gateway trusts, and their revocations.

// Unknown for all if it is unknown for one.
const longest = mergedBy(ms.clone(), (all) => (all.includes(null) ? null : Math.max(...all.map(Number))));

const lastEvent = z.object({
  source: z.enum(['backchannel_logout', 'shared_signals']),
  event: z.string(),
  at: time.describe('When it arrived.'),
  lag_ms: z.number().describe('How long before that it happened.'),
});
mergedBy(lastEvent, (all) => mergeMembers(lastEvent, all.toSorted(newestFirst('at'))));

const events = z.object({
  backchannel_logout: z.boolean().describe('Whether logout tokens are received.'),
  transmitter: text.describe('Whose Security Event Tokens are received.'),
  since: known(latestTime).describe('From when on every event is known.'),
  staleness_ms: longest.describe(
    "How long ago the gateways' shared log was last read to its end. Null if there is only one gateway.",
  ),
  last: known(lastEvent),
  counts: counted.describe('Received, by source and result.'),
  late: total.describe('Events whose time is more than a day before they were sent.'),
});

const breakerStates = ['closed', 'half-open', 'open'] as const;

const introspection = z.object({
  url: z.string().describe('The endpoint, with variable names instead of values.'),
  breaker: mergedBy(z.enum(breakerStates), (all) =>
    first(breakerStates.toReversed().filter((one) => all.includes(one))),
  ).describe('`open`: calls are paused, because too many failed.'),
  last: known(latestTime).describe('When a call last ended.'),
  calls: total,
  failures: total.describe('Calls without a usable answer. Their tokens get 503.'),
  hits: total.describe('Requests whose token had an answer in the cache.'),
  failure: known(z.string()).describe('Why the last call failed. Null if it succeeded.'),
});

const issuer = fromWorst(
  z
    .object({
      issuer: z.string(),
      name: text,
      provider: text,
      source: z.string().describe("The URL or file of the issuer's keys, with variable names instead of values."),
      state: since,
      keys: z.array(
        z.object({ kid: z.string(), algorithm: z.string(), since: time.describe('When this process loaded the key.') }),
      ),
      confirmed: time.nullable().describe('When the key set was last confirmed.'),
      next_fetch: time.nullable(),
      fetches: total,
      failed_fetches: total,
      failure: z
        .object({ reason: z.string(), in_a_row: count })
        .nullable()
        .describe('The last failure. Null unless fetches fail.'),
      ignored: z.array(z.object({ kid: text, reason: z.string() })).describe('Unusable keys.'),
      verified: total.describe('Verified tokens, not requests, because a verified token is cached.'),
      refused: counted.describe('Tokens that failed verification, by error code.'),
      events: known(events).describe('The events that it sends. Null without `events`.'),
      introspection: known(introspection).describe('How it answers about opaque tokens. Null without `introspection`.'),
    })
    .meta({ id: 'Issuer' }),
  ['current', 'cannot be refreshed', 'none'],
);
export type Issuer = z.output<typeof issuer>;

const gatewayKey = z.object({
  kid: z.string(),
  algorithm: z.string(),
  state: z.enum(['in use', 'next', 'replaced', 'expired']),
  from: time.describe('When the key becomes usable. The gateway publishes it earlier.'),
  until: time.nullable().describe('When the key expires. Null if it is usable until it is retired.'),
});

export const issuerList = z.object({
  issuers: listOf(issuer, (one) => one.issuer),
  gateway_keys: z
    .array(gatewayKey)
    .describe("The gateway's own keys, for signing identity headers and for key agreement."),
  unknown: counted.describe('Refused tokens that are malformed or name none of these issuers.'),
  refused_requests: listOf(
    z.object({ code: z.string(), title: z.string(), count: total }),
    ({ code }) => code,
    mostFirst,
  ).describe('Requests on all routes that were refused because of their token.'),
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
      source: z.string().describe("The feed's URL, with variable names instead of values."),
      state: since,
      held: mergedBy(z.int().nonnegative(), (all) => Math.max(...all)).describe('Revocations that are in effect.'),
      staleness_ms: longest.describe('How long ago the gateway last read the feed to its end.'),
      max_staleness_ms: z.number(),
      on_stale: z.enum(['allow', 'deny']),
      refused_before: known(time).describe(
        'Tokens issued before this time are refused, because memory cannot hold all revocations.',
      ),
      lag: known(lag).describe(
        "The time from a revocation's start until this gateway enforces it. Null if none arrived since the process started.",
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
  without: z.array(z.string()).describe('Issuers without a feed. Their tokens are valid until `exp`.'),
});
