import {
  eventually,
  type RecordingUpstream,
  recordingUpstream,
  type ThrowAwayRedis,
  throwAwayRedis,
} from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { quantile } from '../../measure/results/statistics.ts';
import { call, logOut, openSessions, type Session } from '../../stacks/client.ts';
import { type Fleet, type Member, startFleet } from '../../stacks/fleet.ts';
import { logoutsUnderLoad } from '../../stacks/logouts-under-load.ts';
import { acceptSocket, answerWithEvents, openSocket, openStream } from '../../stacks/long-connections.ts';

const databaseUrl = process.env.DATABASE_URL ?? '';
const withinMs = 1_000;

describe('two auth-services and three gateways on one postgres and a redis', () => {
  let redis: ThrowAwayRedis;
  let recorder: RecordingUpstream;
  let fleet: Fleet;
  let gateways: readonly string[];
  let [authOne, authTwo]: (Member | undefined)[] = [];

  beforeAll(async () => {
    redis = await throwAwayRedis();
    recorder = await recordingUpstream({ answer: answerWithEvents, upgrade: acceptSocket });
    fleet = await startFleet({
      authServices: 2,
      gateways: 3,
      databaseUrl,
      redisUrl: redis.url,
      recorderUrl: recorder.url,
    });
    gateways = fleet.gateways.map(({ url }) => url);
    [authOne, authTwo] = fleet.authServices;
  });
  afterAll(async () => {
    await fleet?.remove();
    await recorder?.close();
    await redis?.kill();
  });

  const open = async (count: number) => openSessions(gateways, count);
  const openOne = async () => (await open(1))[0] as Session;
  /** Returns each gateway's response to this session's token: 200, or status and code. */
  const askAll = ({ token }: Session) =>
    Promise.all(
      gateways.map(async (url) => {
        const { status, body } = await call(`${url}/recorded/x`, { token });
        return status === 200 ? 200 : `${status} ${body.code}`;
      }),
    );
  const everywhere = (what: unknown) => gateways.map(() => what);
  const revoked = '401 token_revoked';
  /** Logs out at one gateway, and waits until all refuse. @returns Milliseconds from the logout's response. */
  async function logOutEverywhere(session: Session, at = gateways[0] ?? ''): Promise<number> {
    await logOut(at, session);
    const loggedOutAt = performance.now();
    await eventually(async () => expect(await askAll(session)).toEqual(everywhere(revoked)));
    return performance.now() - loggedOutAt;
  }

  test('every gateway refuses a session within a second of its logout, at 200 requests a second (p99 of 40 logouts)', async () => {
    const sessions = await open(40);
    const result = await logoutsUnderLoad({ gateways, sessions, requestsPerSecond: 200 });
    expect(
      quantile(
        result.logouts.map(({ everywhereMs }) => everywhereMs),
        0.99,
      ),
    ).toBeLessThan(withinMs);
    expect(result.logouts.map(({ relapses }) => relapses)).toEqual(sessions.map(() => 0));
    expect(result.unexpected).toEqual([]);
    const before = recorder.requests.length;
    for (const session of sessions) expect(await askAll(session)).toEqual(everywhere(revoked));
    expect(recorder.requests.length).toBe(before);
  });

  test('a logout ends only its own WebSockets and event streams, at every gateway within a second', async () => {
    const [mine, other] = (await open(2)) as [Session, Session];
    const opened = await Promise.all(
      gateways.flatMap((url) => [openStream(url, mine.token), openSocket(url, mine.token)]),
    );
    const others = [await openStream(gateways[1] ?? '', other.token), await openSocket(gateways[1] ?? '', other.token)];
    await logOut(gateways[2] ?? '', mine);
    const loggedOutAt = performance.now();
    const endedAt = await Promise.all(opened.map(({ ended }) => ended));
    expect(Math.max(...endedAt) - loggedOutAt).toBeLessThan(withinMs);
    expect(others.map(({ isOpen }) => isOpen())).toEqual([true, true]);
    for (const { close } of others) close();
  });

  test.each([
    ['an auth-service', () => authTwo?.stop('SIGKILL'), () => authTwo?.start(), () => authTwo?.ready()],
    // Redis restarts empty, and no service may behave differently.
    ['redis', () => redis.kill(), () => redis.start(), () => open(6)],
  ])(
    'after kill -9 of %s, revoked tokens stay refused, others are accepted, and the next logout reaches every gateway',
    async (_name, kill, start, ready) => {
      const [early, late, bystander] = (await open(3)) as [Session, Session, Session];
      await logOutEverywhere(early);
      expect(await askAll(late)).toEqual(everywhere(200));
      await kill();
      expect(await askAll(early)).toEqual(everywhere(revoked));
      expect(await askAll(bystander)).toEqual(everywhere(200));
      // Requests at the killed process may fail. A confirmed logout must apply at every gateway.
      const tookMs = await eventually(() => logOutEverywhere(late));
      expect(tookMs).toBeLessThan(withinMs);
      expect(await askAll(early)).toEqual(everywhere(revoked));
      expect(await askAll(bystander)).toEqual(everywhere(200));
      await start();
      await ready();
    },
    60_000,
  );

  test('a restarted gateway answers 503 until its first snapshot, then refuses revoked tokens, and never answers 200', async () => {
    const [gone, kept] = (await open(2)) as [Session, Session];
    await logOutEverywhere(gone);
    await Promise.all([authOne?.stop('SIGKILL'), authTwo?.stop('SIGKILL')]);
    const [third] = fleet.gateways.slice(-1);
    await third?.stop('SIGKILL');
    third?.start();
    const answers = new Set<unknown>();
    const ask = async ({ token }: Session) => {
      const { status, body } = await call(`${third?.url}/recorded/x`, { token });
      return status === 200 ? 200 : `${status} ${body.code}`;
    };
    // Without an auth-service there are no keys and no snapshot. The other two gateways keep their state.
    await eventually(async () => expect(await ask(gone)).toMatch(/^503/), 20_000);
    expect(await ask(kept)).toMatch(/^503/);
    for (const url of gateways.slice(0, 2)) {
      expect((await call(`${url}/recorded/x`, gone)).body.code).toBe('token_revoked');
      expect((await call(`${url}/recorded/x`, kept)).status).toBe(200);
    }
    authOne?.start();
    authTwo?.start();
    await eventually(async () => {
      const answer = await ask(gone);
      answers.add(answer);
      expect(answer).toBe(revoked);
    }, 30_000);
    expect([...answers].filter((answer) => answer !== revoked && !String(answer).startsWith('503 '))).toEqual([]);
    await eventually(async () => expect(await askAll(kept)).toEqual(everywhere(200)));
    await Promise.all([authOne?.ready(), authTwo?.ready()]);
    const late = await openOne();
    expect(await logOutEverywhere(late)).toBeLessThan(withinMs);
  });
});
