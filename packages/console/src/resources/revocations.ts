import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { duration, exact, milliseconds, number } from '../html/format.ts';
import { ago, definitions, type Html, html, pageOf, section, stateSince } from '../html/parts.ts';
import * as m from '../schema/merge.ts';
import { view } from '../schema/view.ts';

const lag = z.object({ last_ms: z.number(), max_ms: m.highest, count: m.count, last_at: m.time });
// Each process receives every revocation.
m.mergedBy(lag, (lags) => m.mergeMembers(lag, lags.toSorted(m.newestFirst('last_at'))));
export type Lag = z.output<typeof lag>;

const revocations = m.fromWorst(
  namedObject('Revocations', {
    issuer: z.string(),
    source: z.string().describe("The feed's URL, with variable names instead of values."),
    state: m.since,
    held: m.mergedBy(z.int().nonnegative(), (all) => Math.max(...all)).describe('Revocations that are in effect.'),
    staleness_ms: m.longest.describe('How long ago the gateway last read the feed to its end.'),
    max_staleness_ms: z.number(),
    on_stale: z.enum(['allow', 'deny']),
    refused_before: m
      .known(m.time)
      .describe('Tokens issued before this time are refused, because memory cannot hold all revocations.'),
    lag: m
      .known(lag)
      .describe(
        "The time from a revocation's start until this gateway enforces it. Null if none arrived since the process started.",
      ),
    answers: m.total,
    failures: m.total,
    snapshots: m.total,
    unknown_items: m.total,
  }),
  ['current', 'stale', 'not read'],
);
export type Revocations = z.output<typeof revocations>;

export const revocationsView = view(
  'State',
  '/api/revocations',
  'listRevocations',
  'Revocations by issuer: how many are held, their lag, and their staleness',
  z.object({
    issuers: m.listOf(revocations, (one) => one.issuer),
    without: z.array(z.string()).describe('Issuers without a feed. Their tokens are valid until `exp`.'),
  }),
);

export const revocationsPage = pageOf(
  revocationsView,
  ({ issuers, without }, nowMs) =>
    html`${issuers.map((one) => followedPart(one, nowMs))}${issuers.length === 0 ? html`<p class="lead">No issuer has a revocation feed.</p>` : ''}${
      without.length === 0
        ? ''
        : section(
            'Issuers without a feed',
            html`<ul>${without.map((one) => html`<li>${one}</li>`)}</ul><p class="muted">Their tokens are valid until they expire.</p>`,
          )
    }`,
);

function followedPart(one: Revocations, nowMs: number): Html {
  const { issuer, source, state, held, staleness_ms, max_staleness_ms, on_stale, refused_before, lag } = one;
  return section(
    issuer,
    html`<div class="columns stack">${definitions([
      ['Held', number(held)],
      ['Confirmed', staleness_ms === null ? 'never' : `${duration(staleness_ms)} ago`],
      [
        'Stale after',
        `${duration(max_staleness_ms)}, then ${on_stale === 'allow' ? 'tokens without a known revocation pass' : 'all tokens get 503'}`,
      ],
      [
        'Last lag',
        lag === null
          ? 'no revocation since the gateway started'
          : html`${milliseconds(lag.last_ms)} <span class="muted">${ago(lag.last_at, nowMs)}</span>`,
      ],
      [
        'Longest lag',
        lag === null ? '–' : html`${milliseconds(lag.max_ms)} <span class="muted">of ${number(lag.count)}</span>`,
      ],
      ['Refuses tokens before', refused_before && html`<span class="why">${exact(refused_before)}</span>`],
    ])}${definitions([
      ['Feed URL in gateway.yaml', source],
      ['Responses', number(one.answers)],
      ['Failed reads', number(one.failures)],
      ['Complete snapshots', number(one.snapshots)],
      ['Items of an unknown kind', number(one.unknown_items)],
    ])}</div>`,
    stateSince(state, nowMs),
  );
}
