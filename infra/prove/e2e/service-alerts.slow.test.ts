import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  eventually,
  freePorts,
  isInstalled,
  startProcess,
  type ThrowAwayRedis,
  throwAwayRedis,
} from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RealPrometheus, realPrometheus } from '../../ship/prometheus/real-prometheus.ts';
import { call, logIn } from '../../stacks/client.ts';
import { ownPostgres, postgresPrograms } from '../../stacks/own-postgres.ts';
import { makePlace, type Place, repository, startEverything } from '../../stacks/stack.ts';
import { steadyLoad } from '../../stacks/steady-load.ts';

const paths = ['/v1/complaints', '/v1/users/me', '/v1/auth/sessions'];
const canRun =
  isInstalled('prometheus') && isInstalled('psql') && isInstalled('redis-server') && postgresPrograms() !== undefined;

(canRun ? describe : describe.skip)('alerts of services in a real Prometheus', () => {
  const closing: (() => unknown)[] = [];
  const opened = <T>(value: T, close: (value: T) => unknown): T => {
    closing.push(() => close(value));
    return value;
  };
  let postgres: Awaited<ReturnType<typeof ownPostgres>>;
  let redis: ThrowAwayRedis;
  let place: Place;
  let prometheus: RealPrometheus;
  let gateway: string;

  beforeAll(async () => {
    const directory = opened(mkdtempSync(join(tmpdir(), 'countersign-alerts-')), (path) =>
      rmSync(path, { recursive: true }),
    );
    postgres = opened(await ownPostgres(directory), (server) => server.kill());
    await postgres.start();
    redis = opened(await throwAwayRedis(), (server) => server.kill());
    // The databases are deleted together with their server.
    place = opened(await makePlace({ databaseUrl: undefined, redisUrl: redis.url }), (one) => one.remove());
    const env = { DATABASE_URL: postgres.url, AUTH_SMTP_URL: 'smtp://127.0.0.1:9' };
    opened(await startEverything(place, env), (started) => started.stop());
    const [alone = 0] = await freePorts(1);
    const withoutGateway = {
      USERS_PORT: String(alone),
      COUNTERSIGN_HOME: join(directory, 'alone'),
      DATABASE_URL: '',
      REDIS_URL: '',
      GATEWAY_KEYS_URL: 'http://127.0.0.1:1/jwks.json',
    };
    const process = { args: ['users-service/src/main.ts'], cwd: repository, env: withoutGateway };
    opened(startProcess(process), (one) => one.stop());
    gateway = `http://127.0.0.1:${place.ports.gateway}`;
    const { token } = await logIn(gateway, 'agent@acme.test');
    // While the stack started, a target may have refused a connection. It is unhealthy until a request succeeds.
    for (const path of paths) expect((await call(gateway + path, { token })).status).toBe(200);
    const { admin, auth, users, complaints } = place.ports;
    const services = { 'auth-service': auth, 'users-service': users, 'complaint-service': complaints };
    // Otherwise a scrape could be earlier than its start.
    await eventually(async () => expect((await fetch(`http://127.0.0.1:${alone}/metrics`)).status).toBe(200), 30_000);
    prometheus = opened(await realPrometheus({ gateway: admin, ...services, alone }), (server) => server.close());
    opened(
      steadyLoad(2, () => Promise.all(paths.map((path) => call(gateway + path, { token })))),
      (load) => load.stop(),
    );
  }, 120_000);
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });

  /** Every alert about a service that was in this state at some time, with its job. */
  async function alertsThatWere(states: string): Promise<string[]> {
    const found = await prometheus.query(
      `count by (job, alertname) (max_over_time(ALERTS{job!="gateway",alertstate=~"${states}"}[10m]))`,
    );
    return found.map(({ metric }) => `${metric.job} ${metric.alertname?.replace('Countersign', '')}`).sort();
  }
  const fire = (expected: readonly string[]) =>
    eventually(async () => expect(await alertsThatWere('firing')).toEqual([...expected].sort()), 60_000);
  const change = (database: 'auth' | 'complaints', statement: string) =>
    execFileSync('psql', [
      postgres.url.replace(/postgres$/, `${place.env.DATABASE_PREFIX}_${database}`),
      `--command=${statement}`,
    ]);

  test('each fires after its fault and not before, and without a database every service reports errors', async () => {
    const fromStart = ['alone ServiceWithoutKeys'];
    await fire(fromStart);
    expect(await alertsThatWere('pending|firing')).toEqual(fromStart);

    const agent = await logIn(gateway, 'agent@acme.test');
    const complainant = await logIn(gateway, 'complainant@acme.test');
    const complaint = { title: 'Lamp', description: 'Since Monday.', category: 'other' };
    const { body: filed } = await call(`${gateway}/v1/complaints`, { token: complainant.token, body: complaint });
    const comment = { token: agent.token, body: { body: 'On our way' } };
    expect((await call(`${gateway}/v1/complaints/${filed.id}/comments`, comment)).status).toBe(201);
    await call(`${gateway}/v1/auth/password/forgot`, { body: { email: 'agent@acme.test' } });
    await eventually(async () => {
      change('auth', `update outbox set created_at = now() - interval '11 minutes'`);
      change('complaints', `update mails set queued_at = now() - interval '11 minutes'`);
      expect(await prometheus.query('{__name__=~".*_outbox_oldest_seconds",topic="mail"} > 600')).toHaveLength(2);
    });

    const refresh = (token: unknown) => call(`${gateway}/v1/auth/refresh`, { body: { refresh_token: token } });
    const { body: refreshed } = await refresh(complainant.refreshToken);
    // As a backup from before the refresh has it.
    change('auth', 'update sessions set counter = 1');
    expect((await refresh(refreshed.refresh_token)).status).toBe(401);
    const withDatabase = ['auth-service MailWaits', 'complaint-service MailWaits', 'auth-service RefreshTokenAhead'];
    await fire([...fromStart, ...withDatabase]);

    await redis.kill();
    const services = ['auth-service', 'users-service', 'complaint-service'];
    const withoutRedis = services.map((job) => `${job} ReplayNotShared`);
    await fire([...fromStart, ...withDatabase, ...withoutRedis]);
    await redis.start();

    await postgres.kill();
    const withoutDatabase = services.map((job) => `${job} ServiceErrors`);
    await fire([...fromStart, ...withDatabase, ...withoutRedis, ...withoutDatabase]);
    expect(await prometheus.query('min_over_time(up[10m]) == 0')).toEqual([]);
  }, 180_000);
});
