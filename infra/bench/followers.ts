import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@countersign/service-kit';
import { eventually } from '@countersign/testing';
import { loadConfig } from '../../gateway/src/config/load.ts';
import { openGatewayKeys } from '../../gateway/src/keys/gateway-keys.ts';
import { OpenUpstream } from '../../gateway/src/upstreams/pool/open-upstream.ts';
import { openRevocations } from '../../gateway/src/upstreams/revocation-source.ts';
import { type Member, startFleet } from '../fleet/fleet.ts';
import { logOut, openSessions } from '../fleet/sessions.ts';
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

type Usage = Readonly<{ cpuMs: number; sent: number; received: number }>;

/** A process's usage so far: CPU time, and the bytes on its open connections as Linux counts them. */
function usageOf({ pid, url }: Member): Usage {
  const sockets = execFileSync('ss', ['-Htin', 'state', 'established', `sport = :${new URL(url).port}`], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const sum = (name: string) =>
    [...sockets.matchAll(new RegExp(`\\b${name}:(\\d+)`, 'g'))].reduce((total, [, bytes]) => total + Number(bytes), 0);
  return { cpuMs: (cpuMicrosOf(pid()) ?? 0) / 1000, sent: sum('bytes_sent'), received: sum('bytes_received') };
}

function costOf(before: Usage, after: Usage, times: number): string {
  const each = (name: keyof Usage) => (after[name] - before[name]) / times;
  return `${each('cpuMs').toFixed(2)} ms CPU, ${each('sent').toFixed(0)} bytes sent, ${each('received').toFixed(0)} received`;
}

/** Followers as in gateways, and how many have applied a change since the last reset. */
function startFollowers(configFile: string, gatewayEnv: Readonly<Record<string, string>>) {
  const logger = createLogger('followers', 'error');
  const config = loadConfig(configFile, gatewayEnv);
  const [issuer] = config.issuers;
  const upstream = config.upstreams.get('auth-service');
  if (issuer?.revocations === undefined || upstream === undefined) throw new Error('the fleet follows no revocations');
  const { revocations: feed, issuer: name } = issuer;
  const keys = openGatewayKeys(config.identity.keysDir, () => Math.floor(Date.now() / 1000), logger);
  const opened = new OpenUpstream(upstream, { logger });
  let changedAtMs: number[] = [];
  const followers = Array.from({ length: count }, () =>
    openRevocations(
      { issuer: name, feed, lifetimeSec: config.identity.lifetimeSec },
      { opened, keys, nowMs: Date.now, logger, onChange: () => changedAtMs.push(performance.now()), onLag: () => {} },
    ),
  );
  for (const { start } of followers) start();
  return {
    ready: () => eventually(() => expectAll(followers.filter(({ revocations }) => revocations.ready).length), 120_000),
    reset() {
      changedAtMs = [];
    },
    /** Resolves once each follower has applied a change, to the time on the clock of `performance.now`. */
    async changed(): Promise<readonly number[]> {
      await eventually(() => expectAll(changedAtMs.length), 60_000);
      return changedAtMs;
    },
    total: (name: 'answers' | 'failures') => followers.reduce((sum, { stats }) => sum + stats[name], 0),
    async stop() {
      for (const { stop } of followers) stop();
      await opened.stop();
    },
  };
}

function expectAll(found: number): void {
  if (found < count) throw new Error(`${found} of ${count} followers`);
}

const fleet = await startFleet({
  authServices: 1,
  gateways: 1,
  databaseUrl,
  redisUrl,
  recorderUrl: 'http://127.0.0.1:9',
});
try {
  const [auth] = fleet.authServices;
  const [gateway] = fleet.gateways;
  if (auth === undefined || gateway === undefined) throw new Error('the fleet has no instances');
  const sessions = await openSessions([gateway.url], Number(LOGOUTS));
  const followers = startFollowers(fleet.configFile, gateway.env);
  try {
    await followers.ready();
    const [idle, answered] = [usageOf(auth), followers.total('answers')];
    await delay(idleMs);
    const polls = followers.total('answers') - answered;
    process.stdout.write(`${count} followers, idle: ${costOf(idle, usageOf(auth), polls)} a poll\n`);

    const before = usageOf(auth);
    const times: number[] = [];
    const medians: number[] = [];
    for (const session of sessions) {
      followers.reset();
      await logOut(gateway.url, session);
      const answeredMs = performance.now();
      const after = (await followers.changed()).map((atMs) => Math.max(0, atMs - answeredMs));
      times.push(Math.max(...after));
      medians.push(quantile(after, 0.5));
    }
    const ms = (values: readonly number[], share: number) => `${quantile(values, share).toFixed(0)} ms`;
    process.stdout.write(
      `${times.length} logouts: the last follower applied it after ${ms(times, 0.5)} (median), ${ms(times, 1)} (longest); ` +
        `half of them after ${ms(medians, 0.5)}\n` +
        `a logout, for each follower: ${costOf(before, usageOf(auth), times.length * count)}\n` +
        `auth-service: ${(residentBytesOf(auth.pid()) / 2 ** 20).toFixed(0)} MiB resident; failed polls: ${followers.total('failures')}\n`,
    );
  } finally {
    await followers.stop();
  }
} finally {
  await fleet.remove();
}
