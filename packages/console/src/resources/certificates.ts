import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { duration, exact } from '../html/format.ts';
import { type Content, type Html, html, pageOf, pill, type Tone, tableCard } from '../html/parts.ts';
import { time } from '../schema/merge.ts';
import { view } from '../schema/view.ts';

const certificate = namedObject('Certificate', {
  use: z.string().describe('Where the certificate is used, such as `public listener`.'),
  position: z.string().describe('The position in the chain: `leaf`, `chain` or `CA`.'),
  subject: z.string(),
  issuer: z.string(),
  names: z.array(z.string()),
  serial: z.string(),
  sha256: z.string(),
  from: time,
  until: time,
  days_left: z.int(),
});
export type Certificate = z.output<typeof certificate>;

export const certificatesView = view(
  'State',
  '/api/certificates',
  'listCertificates',
  'The certificates of the public listener and of upstreams, and when they expire',
  z.object({
    certificates: z.array(certificate),
    trouble: z
      .array(z.object({ use: z.string(), problem: z.string() }))
      .describe('TLS files that cannot be read. The last valid files stay in use.'),
    public_tls: z.boolean(),
  }),
);

const dayMs = 86_400_000;
const soonMs = 21 * dayMs;
const urgentMs = 7 * dayMs;

export function validityOf({ from, until }: Certificate, nowMs: number): Readonly<{ text: string; tone: Tone }> {
  const leftMs = Date.parse(until) - nowMs;
  if (leftMs <= 0) return { text: `expired ${duration(-leftMs)} ago`, tone: 'bad' };
  if (Date.parse(from) > nowMs) return { text: 'not valid yet', tone: 'bad' };
  return { text: `${duration(leftMs)} left`, tone: leftMs < urgentMs ? 'bad' : leftMs <= soonMs ? 'warn' : 'good' };
}

/** Lists the certificates by expiry. A certificate with several uses has one row. */
export const certificatesPage = pageOf(
  certificatesView,
  ({ certificates, trouble, public_tls }, nowMs) =>
    html`${public_tls ? '' : html`<p class="lead">The public listener serves plain HTTP.</p>`}
${trouble.map(({ use, problem }) => html`<section class="card verdict warn"><h2>TLS files of ${use}</h2><p>${problem}</p><p>The last valid files stay in use.</p></section>`)}
${tableCard(
  'Certificates',
  [
    { label: 'Used by', kind: 'main', cell: usesOf },
    { label: 'Subject', cell: ([one]) => subjectOf(one) },
    { label: 'Expires', cell: ([one]) => expiryOf(one, nowMs) },
    { label: 'SHA-256', kind: 'mono', cell: ([{ sha256 }]) => fingerprint(sha256) },
  ],
  soonestFirst(certificates),
  'No certificate is configured.',
  certificates.length === 0 ? '' : 'sorted by expiry',
)}`,
);

type Same = [Certificate, ...Certificate[]];

export function soonestFirst(certificates: readonly Certificate[]): readonly Same[] {
  const sorted = certificates.toSorted((a, b) => (a.until < b.until ? -1 : 1));
  return [...Map.groupBy(sorted, ({ sha256 }) => sha256).values()] as Same[];
}

const usesOf = (same: Same): Content =>
  html`<ul>${same.map(({ use, position }) => html`<li>${use} <span class="muted">${position}</span></li>`)}</ul>`;

/** Removes the type before a name, such as `DNS:`. */
const nameOf = (name: string): string => name.replace(/^(?:DNS|IP Address|URI):/, '');

function subjectOf({ subject, issuer, names }: Certificate): Html {
  const by = issuer === subject ? 'self-signed' : `by ${issuer}`;
  return html`<span class="subject">${subject}<br><span class="muted">${by}</span>${names.length === 0 ? '' : html`<br><span class="muted">for ${names.map(nameOf).join(', ')}</span>`}</span>`;
}

function expiryOf(one: Certificate, nowMs: number): Html {
  const { text, tone } = validityOf(one, nowMs);
  return html`${pill(text, tone)} <span class="muted whole">${exact(one.until)}</span>`;
}

/** Splits the fingerprint into groups, so that lines break only between groups. */
const fingerprint = (sha256: string): Html =>
  html`<span class="fingerprint">${(sha256.toLowerCase().match(/.{1,24}/g) ?? []).map((group) => html`<span>${group}</span>`)}</span>`;
