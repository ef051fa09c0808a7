import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { steadyLoad } from './steady-load.ts';

export type Session = Readonly<{ token: string }>;

/** The results for one session that was in use at every gateway. */
export type LogoutMeasure = Readonly<{
  /** The time from the logout response until the last gateway's first refusal. */
  everywhereMs: number;
  /** Requests that a gateway accepted after it had refused this token. Must be zero. */
  relapses: number;
}>;

export type LoadResult = Readonly<{
  logouts: readonly LogoutMeasure[];
  requests: number;
  perSecond: number;
  /**
   * Responses other than 200 and a revoked token's 401, as `status code`, and requests without a response. Must be
   * empty.
   */
  unexpected: readonly string[];
}>;

export type LoadOptions = Readonly<{
  gateways: readonly string[];
  path: string;
  sessions: readonly Session[];
  requestsPerSecond: number;
  /** Logs the session out at one gateway. Resolves on the response. */
  logOut(gateway: string, session: Session): Promise<void>;
}>;

type Seen = { acceptedOnce: boolean; refusedAtMs: number | undefined };

const giveUpAfterMs = 10_000;
const revoked = '401 token_revoked';

/**
 * Uses each session at all gateways, logs it out meanwhile, and continues until every gateway refuses it.
 *
 * @throws Error if a gateway still accepts a token 10 s after its logout.
 */
export async function logoutsUnderLoad(options: LoadOptions): Promise<LoadResult> {
  const { gateways, path, sessions, requestsPerSecond, logOut } = options;
  const pools = gateways.map((url) => new Pool(url, { pipelining: 1 }));
  const logouts: LogoutMeasure[] = [];
  let turn = 0;
  let use: (at: number) => Promise<string> = async () => '200';
  const load = steadyLoad(requestsPerSecond, () =>
    use(turn++ % gateways.length).catch((error: Error) => error.message),
  );

  async function measure(session: Session, index: number): Promise<LogoutMeasure> {
    const seen = gateways.map((): Seen => ({ acceptedOnce: false, refusedAtMs: undefined }));
    const acceptedEverywhere = Promise.withResolvers<void>();
    const refusedEverywhere = Promise.withResolvers<void>();
    let relapses = 0;
    use = async (at) => {
      const [gateway, pool] = [seen[at] as Seen, pools[at] as Pool];
      const sentAtMs = performance.now();
      const { statusCode, body } = await pool.request({
        path,
        method: 'GET',
        headers: { authorization: `Bearer ${session.token}` },
      });
      const text = await body.text();
      const result = statusCode === 200 ? '200' : `${statusCode} ${/"code":"([a-z_]+)"/.exec(text)?.[1] ?? ''}`;
      if (result === '200') {
        if (gateway.refusedAtMs !== undefined && sentAtMs > gateway.refusedAtMs) relapses += 1;
        gateway.acceptedOnce = true;
        if (seen.every(({ acceptedOnce }) => acceptedOnce)) acceptedEverywhere.resolve();
      } else if (result === revoked) {
        gateway.refusedAtMs ??= performance.now();
        if (seen.every(({ refusedAtMs }) => refusedAtMs !== undefined)) refusedEverywhere.resolve();
      }
      return result;
    };
    await within(acceptedEverywhere.promise, 'the session is not accepted everywhere');
    await logOut(gateways[index % gateways.length] ?? '', session);
    const loggedOutAtMs = performance.now();
    await within(refusedEverywhere.promise, 'a gateway still accepts the session');
    const everywhereMs = Math.max(...seen.map(({ refusedAtMs = Infinity }) => refusedAtMs)) - loggedOutAtMs;
    return {
      everywhereMs,
      get relapses() {
        return relapses;
      },
    };
  }

  try {
    for (const [index, session] of sessions.entries()) logouts.push(await measure(session, index));
  } finally {
    await load.stop();
    await Promise.all(pools.map((pool) => pool.close()));
  }
  const results = load.outcomes.map(({ result }) => result);
  return {
    logouts,
    requests: results.length,
    perSecond: (results.length / load.nowMs()) * 1_000,
    unexpected: results.filter((result) => result !== '200' && result !== revoked),
  };
}

async function within(promise: Promise<void>, complaint: string): Promise<void> {
  const isLate = await Promise.race([promise, delay(giveUpAfterMs, true, { ref: false })]);
  if (isLate) throw new Error(complaint);
}
