import { X509Certificate } from 'node:crypto';
import {
  type Answer,
  type Answers,
  type Certificate,
  type LimitedCaller as LimitedItem,
  sum,
  type Upstream,
  upstreamLatency,
} from '@countersign/console';
import { explain } from '../../explain/answer.ts';
import type { ExplainQuestion } from '../../explain/question.ts';
import type { LimitedCaller } from '../../metrics/refusal-counts.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import { describeUpstream, timeOf } from '../describe.ts';
import { upstreamStates } from '../observe/observe-states.ts';
import { type ConsoleSources, stateOf } from '../sources.ts';

export function readProcesses(sources: ConsoleSources): Answers['/api/workers'] {
  const { current, reloadState, startedAtMs, traffic, nowMs, openConnections, version } = sources;
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const { last_minute } = traffic.history.ofProcess(nowMs());
  return {
    processes: [
      {
        worker: null,
        pid: process.pid,
        version,
        node: process.version,
        started: timeOf(startedAtMs),
        state: stateOf(sources, 'gateway', '', 'not ready'),
        config_hash: current().config.hash,
        config_loaded: timeOf(reloadState().loadedAtMs),
        requests: sum([...traffic.history.statuses().values()].flatMap((statuses) => [...statuses.values()])),
        requests_per_sec: last_minute.requests_per_sec,
        open_connections: openConnections(),
        rss_bytes: rss,
        heap_used_bytes: heapUsed,
        cpu_ms: Math.round((user + system) / 1000),
      },
    ],
  };
}

export const readEvents = ({ states }: ConsoleSources): Answers['/api/events'] => ({
  events: states.changes().map((change) => ({ ...change, worker: null })),
});

export function readReloads(sources: ConsoleSources): Answers['/api/reloads'] {
  const { file, hash } = sources.current().config;
  return {
    file,
    state: stateOf(sources, 'configuration', '', 'in force'),
    in_force: [{ hash, loaded: timeOf(sources.reloadState().loadedAtMs), processes: 1 }],
    reloads: [...sources.reloads.all()],
  };
}

export function readUpstreams(sources: ConsoleSources): Answers['/api/upstreams'] {
  const { upstreams, gatewayKeys } = sources.current();
  const gatewayKid = gatewayKeys.agreementKey(Math.floor(sources.nowMs() / 1000))?.kid;
  return { upstreams: [...upstreams.all()].map((opened) => upstreamOf(opened, gatewayKid, sources)) };
}

function upstreamOf(
  opened: OpenUpstream,
  gatewayKid: string | undefined,
  { traffic, states, nowMs }: ConsoleSources,
): Upstream {
  const { tls, breaker, targets, ...shown } = describeUpstream(opened, gatewayKid);
  const { algorithm, headers, uses, fallback = null } = shown.identity;
  const now = upstreamStates(opened);
  const durations = traffic.history.ofUpstream(shown.name, nowMs());
  return {
    ...shown,
    state: states.since(now.upstream, nowMs()),
    breaker: breaker && now.breaker ? { ...breaker, state: states.since(now.breaker, nowMs()) } : null,
    identity: { algorithm, headers, uses, fallback },
    tls_trouble: tls?.trouble ?? null,
    latency_ms: upstreamLatency(durations),
    durations,
    targets: targets.map(({ healthy: _healthy, checks: _checks, ...target }, at) => ({
      ...target,
      state: states.since(now.targets[at] ?? now.upstream, nowMs()),
    })),
  };
}

export function readLimits({ traffic, current, redisStatus, nowMs }: ConsoleSources): Answers['/api/limits'] {
  const redis = redisStatus() ?? null;
  return {
    callers: traffic.refusals.limited().map((caller) => itemOf(caller, nowMs())),
    limits: current().config.routes.flatMap(({ name: route, limits }) =>
      limits.map(({ requests, perSec, by, onStoreFailure }) => ({
        ...{ route, requests, per_sec: perSec, by, on_store_failure: onStoreFailure },
      })),
    ),
    counted_in: redis === null ? 'process' : 'redis',
    redis,
  };
}

const itemOf = ({ route, limit, refused, ...caller }: LimitedCaller, nowMs: number): LimitedItem => ({
  route,
  limit,
  user_id: caller.userId ?? null,
  tenant_id: caller.tenantId ?? null,
  ip: caller.address ?? null,
  since: timeOf(caller.sinceMs),
  last: timeOf(caller.lastMs),
  until: timeOf(caller.untilMs),
  refused,
  now: nowMs < caller.untilMs,
});

export function readCertificates({ current, nowMs }: ConsoleSources): Answers['/api/certificates'] {
  const { config, upstreams } = current();
  const opened = [...upstreams.all()].map(({ upstream, tls }) => ({ use: `upstream ${upstream.name}`, tls }));
  const { certificate: own } = config;
  const files = [
    { use: 'public listener', cert: own?.cert },
    { use: 'clients of the public listener', ca: own?.clients?.ca },
    ...opened.map(({ use, tls }) => ({ use, ...tls?.current() })),
  ];
  return {
    certificates: files.flatMap(({ use, cert, ca }) => [
      ...readAll(cert).map((one, at) => describe(one, use, at === 0 ? 'leaf' : 'chain', nowMs())),
      ...readAll(ca).map((one) => describe(one, use, 'CA', nowMs())),
    ]),
    trouble: opened.flatMap(({ use, tls }) => {
      const problem = tls?.failure();
      return problem === undefined ? [] : [{ use, problem }];
    }),
    public_tls: own !== undefined,
  };
}

const dayMs = 86_400_000;
const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Cannot fail, because the files were checked when they were read. */
const readAll = (text = ''): X509Certificate[] => (text.match(pem) ?? []).map((one) => new X509Certificate(one));

function describe(one: X509Certificate, use: string, position: string, nowMs: number): Certificate {
  const untilMs = one.validToDate.getTime();
  return {
    use,
    position,
    subject: one.subject.replaceAll('\n', ', '),
    issuer: one.issuer.replaceAll('\n', ', '),
    names: one.subjectAltName?.split(', ') ?? [],
    serial: one.serialNumber,
    sha256: one.fingerprint256,
    from: timeOf(one.validFromDate.getTime()),
    until: timeOf(untilMs),
    days_left: Math.floor((untilMs - nowMs) / dayMs),
  };
}

export function explainNow(
  asked: ExplainQuestion,
  { current, nowMs }: Pick<ConsoleSources, 'current' | 'nowMs'>,
): Promise<Answer> {
  const { config, trust, upstreams } = current();
  return explain(asked, {
    config,
    nowMs: nowMs(),
    openIssuer({ issuer }) {
      const trusted = trust.issuers.get(issuer);
      if (trusted === undefined) throw new Error(`${issuer} is not trusted`);
      // `close` does nothing, because the keys belong to the running gateway.
      return { trusted, why: () => trusted.keys.stats.failure?.reason ?? 'no answer', close() {} };
    },
    warningOf: (upstream) => warningOf(upstreams.of(upstream)),
  });
}

/** Returns a warning if the upstream would probably fail the request now. */
function warningOf(opened: OpenUpstream): string | undefined {
  const { name } = opened.upstream;
  const { state, why } = upstreamStates(opened).upstream;
  if (state !== 'out' && state !== 'failing') return undefined;
  if (opened.breaker?.state(opened.nowMs()) === 'open') {
    return `The circuit breaker for upstream ${name} is open, so the request would get 503 upstream_circuit_open now.`;
  }
  if (state === 'failing') return `The last requests to upstream ${name} failed, so this one may fail too: ${why}.`;
  return opened.targets.every((target) => target.isFull())
    ? `Every target of upstream ${name} is full, so the request would get 503 upstream_overloaded now.`
    : `No target of upstream ${name} is healthy, so the request would probably fail now. The last error: ${why}.`;
}
