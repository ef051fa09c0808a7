import { describe, expect, test } from '@jest/globals';
import { axisNumber, chart } from '../html/chart.ts';
import { type ConsolePage, clock, html } from '../html/parts.ts';
import { issuersPage } from './issuers.ts';
import { lastOfEach } from './overview.ts';
import { requestsPage } from './requests.ts';
import { badUpstreamsFirst, type Upstream, upstreamsPage } from './upstreams.ts';

const at = '2026-01-02T09:41:07.000Z';
const nowMs = Date.parse('2026-01-02T10:00:00.000Z');

async function render({ page }: ConsolePage, answer: unknown): Promise<string> {
  const { body } = await page({ read: async () => answer as never, nowMs, query: {} });
  return html`${body}`.render();
}

const upstream = (name: string, state: string): Upstream => ({
  name,
  state: { state, since: at, why: null },
  balance: 'round-robin',
  pending: 0,
  breaker: null,
  retries: { made: 0, over_budget: 0 },
  identity: { algorithm: 'ed25519', headers: true, uses: 'ed25519', fallback: null },
  identity_token: null,
  tls_trouble: null,
  latency_ms: { p50: null, p95: null, p99: null },
  durations: {
    bounds_ms: [1],
    counts: [
      [0, 0],
      [0, 0],
    ],
  },
  targets: [],
});

describe('the console pages', () => {
  test('show upstreams that are down first, and the others in file order', () => {
    const states = ['not checked', 'up', 'degraded', 'not checked', 'out'];
    const sorted = badUpstreamsFirst(states.map((state, place) => upstream(`u${place}`, state)));
    expect(sorted.map(({ name }) => name)).toEqual(['u4', 'u2', 'u0', 'u1', 'u3']);
  });

  test('show no empty chart for an upstream without requests', async () => {
    expect(await render(upstreamsPage, { upstreams: [upstream('idle', 'up')] })).not.toContain('<svg');
  });

  test('say beside the filters that an email address finds no request', async () => {
    const text = await render(requestsPage, { requests: [] });
    expect(text).toContain('title="The subject of the token, not an email address"');
    expect(text).toContain('the gateway knows no email addresses');
  });

  test("show the last change of each part, without changes that the upstream's own entry covers", () => {
    const event = (kind: string, name: string, to: string) => ({
      at,
      kind,
      name,
      from: '',
      to,
      why: null,
      worker: null,
    });
    const events = [
      event('upstream', 'a', 'out'),
      event('target', 'a http://a', 'checks fail'),
      event('breaker', 'a', 'open'),
      event('upstream', 'a', 'up'),
      event('upstream', 'b', 'up'),
    ];
    expect(lastOfEach(events)).toEqual([events[0], events[4]]);
  });

  test("draw a single value at a chart's end inside the chart", () => {
    const line = { label: 'p50', look: 'good', values: [null, null, 5] };
    const options = { title: 't', start: at, stepSec: 60, format: String, summary: 's' };
    const text = chart({ ...options, lines: [line], kind: 'lines' }).render();
    expect(text).toMatch(/class="line good" d="M600\.0 [\d.]+h-3"/);
  });

  test.each([
    [1.25, '1.25'],
    [12.5, '12.5'],
    [0.0125, '0.0125'],
    [2500, '2,500'],
    [125_000, '125,000'],
  ])("label a chart's axis with exactly %d", (value, label) => {
    expect(axisNumber(value)).toBe(label);
  });

  test('show the date of a request from another day', () => {
    expect(clock(at, nowMs).render()).toContain('>09:41:07<');
    expect(clock(at, nowMs + 86_400_000).render()).toContain('>2026-01-02 09:41<');
  });

  test('do not show an age of decades for a gateway key without nbf', async () => {
    const cache = { size: 0, hits: 0, misses: 0, refused_from_memory: 0 };
    const keysFrom = (from: string) => [{ kid: 'k', algorithm: 'Ed25519', state: 'in use', until: null, from }];
    const issuers = { issuers: [], unknown: [], refused_requests: [], cache };
    const from = (time: string) => render(issuersPage, { ...issuers, gateway_keys: keysFrom(time) });
    expect(await from('1970-01-01T00:00:00.000Z')).toContain('>always<');
    expect(await from(at)).toContain('>18 min ago<');
  });
});
