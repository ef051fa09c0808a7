import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@countersign/testing';
import { findLost } from './acknowledged.ts';
import type { Fault } from './fault.ts';
import type { FaultStack } from './stack.ts';
import { type Sent, startTraffic, type Traffic } from './traffic.ts';

export type Measured = Readonly<{
  name: string;
  /** The time until the part ran again. */
  lastedSec: number;
  /** The requests that were open while the fault lasted: sent before the part ran again, and ended after it began. */
  during: number;
  failedDuring: number;
  /** How many requests failed with each status and code, including those sent after the part ran again. */
  kinds: ReadonlyMap<string, number>;
  longestSec: number;
  /** The time from when the part ran again until the last failed request was sent. 0 if none failed. */
  wellAfterSec: number;
  acknowledged: number;
  lost: readonly string[];
  alerts: readonly string[];
  note: string | undefined;
  /** The promises that were broken. */
  broken: readonly string[];
}>;

// Long enough for alerts about the start of the stack, or of a part that a case restarts, to be pending.
const beforeMs = 4_000;
/** The stack is healthy when no request has failed for this long. */
const wellForMs = 3_000;
const giveUpMs = 60_000;
const wellWithinMs = 1_000;

/** Sends traffic, causes one fault, and measures the clients' responses. */
export async function measure(stack: FaultStack, fault: Fault, perSecond: number): Promise<Measured> {
  await fault.prepare?.(stack);
  await stack.ready();
  const traffic = await startTraffic(stack.origin, perSecond);
  const problems: string[] = [];
  const noteProblem = ({ message }: Error) => void problems.push(message);
  try {
    await stack.hold(beforeMs);
    await quiet(stack);
    const beganMs = traffic.nowMs();
    const note = await fault.run(stack, traffic).catch(noteProblem);
    const backMs = traffic.nowMs();
    await untilWell(traffic, backMs);
    await traffic.stop();
    await fault.check?.(stack).catch(noteProblem);
    const all = traffic.sent.filter(({ endedMs }) => endedMs >= beganMs);
    const failed = all.filter(isFailed);
    const { acknowledged } = traffic;
    const during = all.filter(({ sentMs }) => sentMs <= backMs);
    const lost = await findLost(acknowledged);
    await quiet(stack);
    const seen = { all, failed, backMs, lost, alerts: await alertsSince(stack, traffic.nowMs() - beganMs) };
    return {
      name: fault.name,
      lastedSec: (backMs - beganMs) / 1000,
      during: during.length,
      failedDuring: during.filter(isFailed).length,
      kinds: kindsOf(failed),
      longestSec: longestMs(all) / 1000,
      wellAfterSec: wellAfterMs(seen) / 1000,
      acknowledged: acknowledged.length,
      lost,
      alerts: seen.alerts,
      note: typeof note === 'string' ? note : undefined,
      broken: [...problems, ...brokenPromises(fault, seen, stack)],
    };
  } finally {
    await traffic.stop();
    await fault.restore?.(stack);
  }
}

type Seen = Readonly<{
  all: readonly Sent[];
  failed: readonly Sent[];
  backMs: number;
  lost: readonly string[];
  alerts: readonly string[];
}>;

function brokenPromises(fault: Fault, seen: Seen, stack: FaultStack): readonly string[] {
  const { failed, lost, alerts, all } = seen;
  const { fails, alerts: promised = [], mayFire = [] } = fault;
  const { lateMs } = stack;
  const others = failed.filter((sent) => !mayFail(fails, sent));
  const silent = stack.prometheus === undefined ? [] : promised.filter((name) => !alerts.includes(name));
  const unexpected = alerts.filter((name) => !promised.includes(name) && !mayFire.includes(name));
  const limitMs = fault.longestMs ?? stack.responseMs;
  return [
    ...(longestMs(all) > limitMs + lateMs ? [`a response took longer than ${limitMs / 1000} s`] : []),
    ...(wellAfterMs(seen) > Math.max(wellWithinMs, lateMs) ? ['not healthy within 1 s'] : []),
    ...[...kindsOf(others)].map(([kind, count]) => `${count} requests that must not fail: ${kind}`),
    ...(fails !== undefined && failed.length === 0 ? ['no request failed'] : []),
    ...(lost.length > 0 ? [`lost: ${lost.slice(0, 3).join(', ')}`] : []),
    ...silent.map((name) => `${name} did not fire`),
    ...unexpected.map((name) => `${name} fired`),
  ];
}

function mayFail(fails: Fault['fails'] = [], sent: Sent): boolean {
  if (typeof fails === 'function') return fails(sent);
  return fails === 'all' || fails.some((part) => part === sent.result.part);
}

async function untilWell(traffic: Traffic, backMs: number): Promise<void> {
  for (;;) {
    const failures = traffic.sent.filter(isFailed);
    const lastMs = Math.max(backMs, ...failures.map(({ endedMs }) => endedMs));
    if (traffic.nowMs() - lastMs > wellForMs || traffic.nowMs() - backMs > giveUpMs) return;
    await delay(100);
  }
}

const isFailed = ({ result }: Sent): boolean => result.failure !== undefined;

const longestMs = (sent: readonly Sent[]): number =>
  Math.max(0, ...sent.map(({ sentMs, endedMs }) => endedMs - sentMs));

const wellAfterMs = ({ failed, backMs }: Pick<Seen, 'failed' | 'backMs'>): number =>
  Math.max(0, ...failed.map(({ sentMs }) => sentMs - backMs));

function kindsOf(failed: readonly Sent[]): ReadonlyMap<string, number> {
  const groups = Map.groupBy(failed, ({ result }) => result.failure ?? '');
  return new Map([...groups].map(([kind, some]) => [kind, some.length]));
}

/** The alerts that fired, without the prefix `Countersign`. */
async function alertsSince({ prometheus }: FaultStack, ms: number): Promise<readonly string[]> {
  if (prometheus === undefined) return [];
  const found = await prometheus.query(`max_over_time(ALERTS{alertstate="firing"}[${Math.floor(ms)}ms])`);
  const names = found.map(({ metric }) => metric.alertname?.replace('Countersign', '') ?? '');
  return [...new Set(names)].sort();
}

/** Waits until no alert is pending or firing. */
async function quiet({ prometheus }: FaultStack): Promise<void> {
  if (prometheus === undefined) return;
  await eventually(async () => {
    const firing = await prometheus.query('ALERTS');
    if (firing.length > 0) throw new Error(`still firing: ${firing.map(({ metric }) => metric.alertname)}`);
  }, 90_000);
}
