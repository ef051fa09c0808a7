import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@countersign/testing';
import type { FaultStack, Part } from './stack.ts';
import { type Acknowledged, type Sent, startTraffic, type Traffic } from './traffic.ts';

export type Fault = Readonly<{
  name: string;
  /** Changes the stack before traffic starts. `restore` undoes this afterwards. */
  prepare?(stack: FaultStack): Promise<unknown>;
  restore?(stack: FaultStack): Promise<unknown>;
  /**
   * Causes the fault and ends it. Resolves when the part runs again: it accepts connections, or continues.
   *
   * @returns A note for the report, if any.
   * @throws Error if the fault did not go as expected.
   */
  run(stack: FaultStack, traffic: Traffic): Promise<unknown>;
  /** The requests that may fail: those to some parts, or those for which it returns true. At least one must fail. */
  fails?: readonly Part[] | 'all' | ((sent: Sent) => boolean);
  /** The requests that may get no response at all. They must be among those that may fail. */
  mayHang?(sent: Sent): boolean;
  /** The names of the alerts that must fire, without the prefix `Countersign`. */
  alerts?: readonly string[];
  /** The alerts that it can cause too, depending on timing. No others may fire. */
  mayFire?: readonly string[];
  /** Returns why this machine cannot cause the fault. Undefined if it can. */
  missing?(): string | undefined;
}>;

/**
 * For faults that start the gateway's processes again: each signs with ed25519 until it has fetched the services' keys.
 * The shipped alert waits an hour, but only 4 s in the rules of these programs.
 */
export const gatewayStarts = ['AgreedKeysUnused'];

export type Measured = Awaited<ReturnType<typeof measure>>;

// Long enough for alerts about the start of the stack, or of a part that a case restarts, to be pending.
const beforeMs = 4_000;
/** The stack is healthy when no request has failed for this long. */
const wellForMs = 3_000;
const giveUpMs = 60_000;
const wellWithinMs = 1_000;
const checksAtOnce = 8;

export const columns = ['fault', 'lasted', 'requests', 'failed', 'longest', 'well after', 'lost', 'alerts'] as const;

/** Sends traffic, causes one fault, and measures the clients' responses. */
export async function measure(stack: FaultStack, fault: Fault, perSecond: number) {
  await fault.prepare?.(stack);
  await stack.ready();
  const traffic = await startTraffic(stack.origin, perSecond);
  try {
    await stack.hold(beforeMs);
    await quiet(stack);
    const problems: string[] = [];
    const beganMs = traffic.nowMs();
    const note = await fault.run(stack, traffic).catch(({ message }: Error) => void problems.push(message));
    const backMs = traffic.nowMs();
    await untilWell(traffic, backMs);
    await traffic.stop();
    const { acknowledged } = traffic;
    const lost = await findLost(acknowledged);
    await quiet(stack);
    const alerts = await alertsSince(stack, traffic.nowMs() - beganMs);
    const sent = traffic.sent.filter(({ endedMs }) => endedMs >= beganMs);
    const seen = judge(stack, fault, { beganMs, backMs, sent, acknowledged: acknowledged.length, lost, alerts });
    return {
      ...seen,
      name: fault.name,
      acknowledged: acknowledged.length,
      note,
      broken: [...problems, ...seen.broken],
    };
  } finally {
    await traffic.stop();
    await fault.restore?.(stack);
  }
}

type Seen = Readonly<{
  beganMs: number;
  /** When the part ran again. */
  backMs: number;
  /** The requests that ended after the fault began. */
  sent: readonly Sent[];
  acknowledged: number;
  lost: readonly string[];
  alerts: readonly string[];
}>;

function judge({ responseMs, lateMs, prometheus }: FaultStack, fault: Fault, seen: Seen) {
  const { beganMs, backMs, sent, acknowledged, lost, alerts } = seen;
  const failed = sent.filter(isFailed);
  const kinds = kindsOf(failed);
  const prompt = sent.filter((one) => fault.mayHang?.(one) !== true);
  const longestMs = Math.max(0, ...prompt.map(({ sentMs, endedMs }) => endedMs - sentMs));
  const wellAfterMs = Math.max(0, ...failed.map(({ sentMs }) => sentMs - backMs));
  const during = sent.filter(({ sentMs }) => sentMs <= backMs);
  const share = (100 * during.filter(isFailed).length) / during.length;
  const others = failed.filter((one) => !mayFail(fault.fails, one));
  const shown = kinds.map(([kind, count]) => `${count} × ${kind}`).join(', ');
  return {
    /** How many requests failed with each status and code, including those sent after the part ran again. */
    kinds: new Map(kinds),
    /** The promises that were broken. */
    broken: [
      ...(longestMs > responseMs + lateMs ? [`a response took longer than ${responseMs / 1000} s`] : []),
      ...(wellAfterMs > Math.max(wellWithinMs, lateMs) ? ['not healthy within 1 s'] : []),
      ...kindsOf(others).map(([kind, count]) => `${count} requests that must not fail: ${kind}`),
      ...(fault.fails !== undefined && failed.length === 0 ? ['no request failed'] : []),
      ...(lost.length > 0 ? [`lost: ${lost.slice(0, 3).join(', ')}`] : []),
      ...(prometheus === undefined ? [] : wrongAlerts(fault, alerts)),
    ],
    /** The row of the report, below {@link columns}. */
    cells: [
      fault.name,
      seconds(backMs - beganMs),
      String(during.length),
      failed.length === 0 ? 'none' : `${share.toFixed(1)} %: ${shown}`,
      `${seconds(longestMs)} (${(longestMs / responseMs).toFixed(2)})`,
      failed.length === 0 ? 'at once' : seconds(wellAfterMs),
      `${lost.length} of ${acknowledged}`,
      alerts.join(', ') || 'none',
    ],
  };
}

const isFailed = ({ result }: Sent): boolean => result.failure !== undefined;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

/** The statuses and codes, the most frequent first. */
const kindsOf = (failed: readonly Sent[]) =>
  [...Map.groupBy(failed, ({ result }) => result.failure ?? '')]
    .map(([kind, some]) => [kind, some.length] as const)
    .sort(([, a], [, b]) => b - a);

function mayFail(fails: Fault['fails'] = [], sent: Sent): boolean {
  if (typeof fails === 'function') return fails(sent);
  return fails === 'all' || fails.some((part) => part === sent.result.part);
}

function wrongAlerts({ alerts = [], mayFire = [] }: Fault, fired: readonly string[]): readonly string[] {
  const silent = alerts.filter((name) => !fired.includes(name));
  const unexpected = fired.filter((name) => !alerts.includes(name) && !mayFire.includes(name));
  return [...silent.map((name) => `${name} did not fire`), ...unexpected.map((name) => `${name} fired`)];
}

async function untilWell(traffic: Traffic, backMs: number): Promise<void> {
  for (;;) {
    const failures = traffic.sent.filter(isFailed);
    const lastMs = Math.max(backMs, ...failures.map(({ endedMs }) => endedMs));
    if (traffic.nowMs() - lastMs > wellForMs || traffic.nowMs() - backMs > giveUpMs) return;
    await delay(100);
  }
}

async function findLost(all: readonly Acknowledged[]): Promise<readonly string[]> {
  const lost: string[] = [];
  const waiting = all.values();
  async function checkSome(): Promise<void> {
    for (const { what, holds } of waiting) if (!(await eventually(holds, 30_000))) lost.push(what);
  }
  await Promise.all(Array.from({ length: checksAtOnce }, checkSome));
  return lost;
}

/** The alerts that fired, without the prefix `Countersign`. */
async function alertsSince({ prometheus }: FaultStack, ms: number): Promise<readonly string[]> {
  const found = await prometheus?.query(`max_over_time(ALERTS{alertstate="firing"}[${Math.floor(ms)}ms])`);
  const names = found?.map(({ metric }) => metric.alertname?.replace('Countersign', '') ?? '');
  return [...new Set(names)].sort();
}

/** Waits until no alert is pending or firing. */
const quiet = ({ prometheus }: FaultStack): Promise<void> =>
  eventually(async () => {
    const firing = (await prometheus?.query('ALERTS')) ?? [];
    if (firing.length > 0) throw new Error(`still firing: ${firing.map(({ metric }) => metric.alertname)}`);
  }, 90_000);
