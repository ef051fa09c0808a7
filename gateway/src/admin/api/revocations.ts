import { z } from 'zod';
import type { TrustedIssuer } from '../../tokens/verified-tokens.ts';
import { byName, combine, first, highest, known, newestFirst, sum, worst } from './merge.ts';
import { count, since, sinceOf, time, timeOrNull } from './values.ts';
import { type ConsoleSources, defineView, type Lag } from './view.ts';

const ms = z.number().nullable();

const followed = z
  .object({
    issuer: z.string(),
    source: z.string().describe('The URL of the feed, with the names of variables in place of their values.'),
    state: since,
    held: count.describe('Revocations in force.'),
    staleness_ms: ms.describe('Since the feed last reported no further items.'),
    max_staleness_ms: z.number(),
    on_stale: z.enum(['allow', 'deny']),
    refused_before: time
      .nullable()
      .describe('All older tokens are refused, because there are more revocations than fit in memory.'),
    lag: z
      .object({ last_ms: z.number(), max_ms: z.number(), count, last_at: time })
      .nullable()
      .describe(
        'From the time a revocation takes effect until it is in force here. Null: none arrived since the start.',
      ),
    answers: count,
    failures: count,
    snapshots: count,
    unknown_items: count,
  })
  .meta({ id: 'Revocations' });
type RevocationsItem = z.output<typeof followed>;

const revocationList = z.object({
  issuers: z.array(followed),
  without: z.array(z.string()).describe('Issuers without a feed: their tokens end at `exp`.'),
});

export const revocationsView = defineView({
  path: '/revocations',
  operationId: 'listRevocations',
  tag: 'State',
  summary: 'Revocations held, their lag and their staleness, by issuer',
  response: revocationList,
  read(sources) {
    const issuers = [...sources.current().trust.issuers.values()];
    return {
      issuers: issuers.flatMap((issuer) => followedOf(issuer, sources)),
      without: issuers.filter(({ revocations }) => revocations === undefined).map(({ config }) => config.issuer),
    };
  },
  merge: combine({
    issuers: byName(
      ({ issuer }) => issuer,
      combine({
        state: worst(['current', 'stale', 'not read']),
        held: highest,
        staleness_ms: (all) => (all.includes(null) ? null : Math.max(...all.map(Number))),
        refused_before: known(first),
        // Each worker receives every revocation.
        lag: known((lags) => combine<Lag>({ max_ms: highest })(lags.toSorted(newestFirst('last_at')))),
        answers: sum,
        failures: sum,
        snapshots: sum,
        unknown_items: sum,
      }),
    ),
  }),
});

function followedOf({ config, revocations }: TrustedIssuer, sources: ConsoleSources): RevocationsItem[] {
  const feed = config.revocations;
  const { current, states, lags, nowMs, startedAtMs } = sources;
  if (revocations === undefined || feed === undefined) return [];
  const { issuer } = config;
  const stats = current().trust.followed.get(issuer)?.stats;
  const now = nowMs();
  return [
    {
      issuer,
      source: feed.shownUrl,
      state: sinceOf(states.of('revocations', issuer), 'not read', startedAtMs),
      held: revocations.size,
      staleness_ms: revocations.stalenessMs() ?? null,
      max_staleness_ms: feed.maxStalenessMs,
      on_stale: feed.onStale,
      refused_before: timeOrNull(revocations.refusedBeforeMs(now)),
      lag: lags.get(issuer) ?? null,
      answers: stats?.answers ?? 0,
      failures: stats?.failures ?? 0,
      snapshots: stats?.snapshots ?? 0,
      unknown_items: stats?.unknownItems ?? 0,
    },
  ];
}
