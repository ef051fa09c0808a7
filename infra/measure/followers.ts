import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@countersign/process-kit';
import { eventually } from '@countersign/testing';
import { loadConfig } from '../../gateway/src/config/load.ts';
import { openGatewayKeys } from '../../gateway/src/keys/key-directory.ts';
import { OpenUpstream } from '../../gateway/src/upstreams/pool/open-upstream.ts';
import { openRevocations } from '../../gateway/src/upstreams/revocation-source.ts';
import { logOut, openSessions } from '../stacks/client.ts';
import { startFleet } from '../stacks/fleet.ts';
import { cpuMicrosOf, residentBytesOf } from './machine/process-usage.ts';
import { quantile } from './results/statistics.ts';

// `npm run bench:followers`: connects 1,000 followers of the revocation feed to one auth-service, each with the
// gateway's own code. Measures how long after a logout's response the last follower applies it, and what this costs
// the auth-service. Needs DATABASE_URL and REDIS_URL.

const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, FOLLOWERS = '1000', LOGOUTS = '20' } = process.env;
if (!databaseUrl || !redisUrl) throw new Error('DATABASE_URL and REDIS_URL must name servers to run on');
const count = Number(FOLLOWERS);
/** Enough time for each follower to poll twice. */
const idleMs = 50_000;

const recorderUrl = 'http://127.0.0.1:9';
const fleet = await startFleet({ authServices: 1, gateways: 1, databaseUrl, redisUrl, recorderUrl });
try {
  const [[auth], [gateway]] = [fleet.authServices, fleet.gateways];
  if (auth === undefined || gateway === undefined) throw new Error('the fleet has no instances');
  const sessions = await openSessions([gateway.url], Number(LOGOUTS));

  const logger = createLogger('followers', 'error');
  const config = loadConfig(fleet.configFile, gateway.env);
  const [issuer] = config.issuers;
  const upstream = config.upstreams.get('auth-service');
  if (issuer?.revocations === undefined || upstream === undefined) throw new Error('the fleet follows no revocations');
  const source = { issuer: issuer.issuer, feed: issuer.revocations, lifetimeSec: config.identity.lifetimeSec };
  const keys = openGatewayKeys(config.identity.keysDir, () => Math.floor(Date.now() / 1000), logger);
  const opened = new OpenUpstream(upstream, { logger });
  let appliedAtMs: number[] = [];
  const onChange = () => appliedAtMs.push(performance.now());
  const followers = Array.from({ length: count }, () =>
    openRevocations(source, { opened, keys, nowMs: Date.now, logger, onChange, onLag() {} }),
  );
  const total = (name: 'answers' | 'failures') => followers.reduce((sum, { stats }) => sum + stats[name], 0);
  const everyFollower = (found: () => number, withinMs: number) =>
    eventually(() => {
      if (found() < count) throw new Error(`${found()} of ${count} followers`);
    }, withinMs);

  for (const { start } of followers) start();
  await everyFollower(() => followers.filter(({ revocations }) => revocations.ready).length, 120_000);
  const [idle, answered] = [usageOf(auth.pid()), total('answers')];
  await delay(idleMs);
  const polls = costOf(idle, usageOf(auth.pid()), total('answers') - answered);
  process.stdout.write(`${count} followers, idle: ${polls} a poll\n`);

  const before = usageOf(auth.pid());
  const times: number[] = [];
  const medians: number[] = [];
  for (const session of sessions) {
    appliedAtMs = [];
    await logOut(gateway.url, session);
    const answeredMs = performance.now();
    await everyFollower(() => appliedAtMs.length, 60_000);
    const after = appliedAtMs.map((atMs) => Math.max(0, atMs - answeredMs));
    times.push(Math.max(...after));
    medians.push(quantile(after, 0.5));
  }
  const ms = (values: readonly number[], share: number) => `${quantile(values, share).toFixed(0)} ms`;
  process.stdout.write(
    `${times.length} logouts: the last follower applied it after ${ms(times, 0.5)} (median), ${ms(times, 1)} (longest); ` +
      `half of them after ${ms(medians, 0.5)}\n` +
      `a logout, for each follower: ${costOf(before, usageOf(auth.pid()), times.length * count)}\n` +
      `auth-service: ${(residentBytesOf(auth.pid()) / 2 ** 20).toFixed(0)} MiB resident; failed polls: ${total('failures')}\n`,
  );
} finally {
  await fleet.remove();
}
process.exit();

type Usage = Readonly<{ cpuMs: number; sent: number; received: number }>;

/** A process's CPU time so far, and the bytes that it wrote and read: nearly all of them on connections. */
function usageOf(pid: number): Usage {
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  const bytes = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1]);
  return { cpuMs: cpuMicrosOf(pid) / 1_000, sent: bytes('wchar'), received: bytes('rchar') };
}

function costOf(before: Usage, after: Usage, times: number): string {
  const each = (name: keyof Usage) => (after[name] - before[name]) / times;
  return `${each('cpuMs').toFixed(2)} ms CPU, ${each('sent').toFixed(0)} bytes sent, ${each('received').toFixed(0)} received`;
}
