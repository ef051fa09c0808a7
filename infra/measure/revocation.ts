import { recordingUpstream } from '@countersign/testing';
import { openSessions } from '../stacks/client.ts';
import { startFleet } from '../stacks/fleet.ts';
import { logoutsUnderLoad } from '../stacks/logouts-under-load.ts';
import { quantile } from './results/statistics.ts';

// `npm run bench:revocation`: measures how long after a logout's response all three gateways refuse the session's
// token. Two auth-services share one Postgres, and 200 requests a second use the token meanwhile. Needs DATABASE_URL
// and REDIS_URL.

const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, SESSIONS = '100', RATE = '200' } = process.env;
if (!databaseUrl || !redisUrl) throw new Error('DATABASE_URL and REDIS_URL must name servers to run on');

const recorder = await recordingUpstream();
const fleet = await startFleet({ authServices: 2, gateways: 3, databaseUrl, redisUrl, recorderUrl: recorder.url });
try {
  const gateways = fleet.gateways.map(({ url }) => url);
  const sessions = await openSessions(gateways, Number(SESSIONS));
  const result = await logoutsUnderLoad({ gateways, sessions, requestsPerSecond: Number(RATE) });
  const times = result.logouts.map(({ everywhereMs }) => everywhereMs);
  const relapses = result.logouts.reduce((sum, logout) => sum + logout.relapses, 0);
  const at = (share: number) => `${quantile(times, share).toFixed(0)} ms`;
  process.stdout.write(
    `${times.length} logouts, ${result.requests} requests at ${result.perSecond.toFixed(0)} a second over ${gateways.length} gateways\n` +
      `refused by all gateways after: median ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, longest ${at(1)}\n` +
      `accepted after a refusal: ${relapses}; other responses: ${result.unexpected.length}\n`,
  );
} finally {
  await fleet.remove();
  await recorder.close();
}
