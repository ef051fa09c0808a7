import type { Answers } from '../api-types.ts';
import { type Mood, moodOf } from '../html/parts.ts';
import { soonestFirst, validityOf } from './certificates.ts';

/** What the overview shows, by the path that it is read from. */
export const overviewParts = {
  traffic: '/api/traffic',
  processes: '/api/workers',
  upstreams: '/api/upstreams',
  issuers: '/api/issuers',
  revocations: '/api/revocations',
  reloads: '/api/reloads',
  limits: '/api/limits',
  certificates: '/api/certificates',
  refusals: '/api/refusals',
  events: '/api/events',
} as const;

type Parts = typeof overviewParts;
export type OverviewData = { readonly [Name in keyof Parts]: Answers[Parts[Name]] } & Readonly<{ nowMs: number }>;

/** One thing that an operator should look at. */
export type Attention = Readonly<{
  mood: Mood;
  what: string;
  state: string;
  since: string | undefined;
  why: string;
  page: string;
}>;

/** Every problem, the worst first. */
export function attentionOf(data: Omit<OverviewData, 'refusals' | 'events' | 'traffic'>): readonly Attention[] {
  const { processes, upstreams, issuers, revocations, reloads, limits, certificates } = data;
  const all: Attention[] = [];
  const add = (
    what: string,
    page: string,
    { state, since, why }: { state: string; since: string; why: string | null },
  ) => {
    const mood = moodOf(state);
    if (mood === 'warn' || mood === 'bad') all.push({ mood, what, state, since, why: why ?? '', page });
  };
  for (const { worker, state } of processes.processes) {
    add(worker === null ? 'Gateway' : `Worker ${worker}`, '/console/workers', state);
  }
  add('Configuration file', '/console/reloads', reloads.state);
  if (reloads.in_force.length > 1) {
    const why = 'the workers serve different configurations';
    all.push({
      mood: 'warn',
      what: 'Configuration',
      state: 'differs',
      since: undefined,
      why,
      page: '/console/workers',
    });
  }
  for (const { name, state } of upstreams.upstreams)
    add(`Upstream ${name}`, `/console/upstreams#${encodeURIComponent(name)}`, state);
  for (const { issuer, state } of issuers.issuers) add(`Keys of ${issuer}`, '/console/issuers', state);
  for (const { issuer, state, refused_before } of revocations.issuers) {
    add(`Revocations of ${issuer}`, '/console/revocations', state);
    if (refused_before !== null) {
      const why = 'there are more revocations than fit in memory, so older tokens are refused';
      all.push({
        mood: 'bad',
        what: `Revocations of ${issuer}`,
        state: 'overflow',
        since: undefined,
        why,
        page: '/console/revocations',
      });
    }
  }
  if (limits.redis !== null && limits.redis !== 'ready') {
    const why = 'limits follow onStoreFailure';
    all.push({ mood: 'bad', what: 'Redis', state: 'not connected', since: undefined, why, page: '/console/limits' });
  }
  for (const [certificate, ...others] of soonestFirst(certificates.certificates)) {
    const { text, mood } = validityOf(certificate, data.nowMs);
    if (mood === 'good') continue;
    const { use, subject } = certificate;
    const what = `Certificate of the ${use}${others.length === 0 ? '' : ` and ${others.length} more`}`;
    all.push({ mood, what, state: text, since: undefined, why: subject, page: '/console/certificates' });
  }
  for (const { use, problem } of certificates.trouble) {
    all.push({
      mood: 'warn',
      what: `TLS files of ${use}`,
      state: 'old',
      since: undefined,
      why: problem,
      page: '/console/certificates',
    });
  }
  return all.sort((a, b) => Number(b.mood === 'bad') - Number(a.mood === 'bad'));
}
