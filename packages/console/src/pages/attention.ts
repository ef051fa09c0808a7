import type { Answers, Since } from '@countersign/admin-api';
import { type Tone, toneOf } from '../html/parts.ts';
import { soonestFirst, validityOf } from './certificates.ts';

/** The overview's data, by the API path that it comes from. */
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

/** One problem that an operator should look at. */
export type Attention = Readonly<{
  tone: Tone;
  what: string;
  state: string;
  since: string | undefined;
  why: string;
  page: string;
}>;

/** Lists every problem, worst first. */
export function attentionOf(data: Omit<OverviewData, 'refusals' | 'events' | 'traffic'>): readonly Attention[] {
  const { processes, upstreams, issuers, revocations, reloads, limits, certificates } = data;
  const all: Attention[] = [];
  const add = (tone: Tone, what: string, path: string, state: string, why: string | null, since?: string) => {
    if (tone === 'warn' || tone === 'bad') {
      all.push({ tone, what, state, since, why: why ?? '', page: `/console/${path}` });
    }
  };
  const addState = (what: string, path: string, { state, since, why }: Since) =>
    add(toneOf(state), what, path, state, why, since);
  for (const { worker, state } of processes.processes) {
    addState(worker === null ? 'Gateway' : `Worker ${worker}`, 'workers', state);
  }
  addState('Configuration file', 'reloads', reloads.state);
  if (reloads.in_force.length > 1) {
    add('warn', 'Configuration', 'workers', 'differs', 'the workers run different configurations');
  }
  for (const { name, state } of upstreams.upstreams) {
    addState(`Upstream ${name}`, `upstreams#${encodeURIComponent(name)}`, state);
  }
  for (const { issuer, state } of issuers.issuers) addState(`Keys of ${issuer}`, 'issuers', state);
  for (const { issuer, state, refused_before } of revocations.issuers) {
    const what = `Revocations of ${issuer}`;
    addState(what, 'revocations', state);
    if (refused_before !== null) {
      const why = 'memory cannot hold all revocations, so older tokens are refused';
      add('bad', what, 'revocations', 'overflow', why);
    }
  }
  if (limits.redis !== null && limits.redis !== 'ready') {
    add('bad', 'Redis', 'limits', 'not connected', 'rate limits follow onStoreFailure');
  }
  for (const [certificate, ...others] of soonestFirst(certificates.certificates)) {
    const { text, tone } = validityOf(certificate, data.nowMs);
    const { use, subject } = certificate;
    const what = `Certificate of the ${use}${others.length === 0 ? '' : ` and ${others.length} more`}`;
    add(tone, what, 'certificates', text, subject);
  }
  for (const { use, problem } of certificates.trouble) {
    add('warn', `TLS files of ${use}`, 'certificates', 'old', problem);
  }
  return all.sort((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
}
