import { setTimeout as delay } from 'node:timers/promises';
import { call, logOut, type Session } from './client.ts';
import { steadyLoad } from './steady-load.ts';

export type LoadOptions = Readonly<{
  gateways: readonly string[];
  sessions: readonly Session[];
  requestsPerSecond: number;
}>;

type Seen = { acceptedOnce: boolean; refusedAtMs: number };

const giveUpAfterMs = 10_000;
const revoked = '401 token_revoked';

/**
 * Uses each session at all gateways of a fleet, logs it out meanwhile, and continues until every gateway refuses it.
 *
 * @throws Error if a gateway still accepts a token 10 s after its logout.
 */
export async function logoutsUnderLoad({ gateways, sessions, requestsPerSecond }: LoadOptions) {
  const logouts: { everywhereMs: number; relapses: number }[] = [];
  let turn = 0;
  let use: (at: number) => Promise<string> = async () => '200';
  const load = steadyLoad(requestsPerSecond, () =>
    use(turn++ % gateways.length).catch((error: Error) => error.message),
  );

  async function measure(session: Session, logOutAt: string, logout: (typeof logouts)[number]): Promise<void> {
    const seen = gateways.map((): Seen => ({ acceptedOnce: false, refusedAtMs: Infinity }));
    const acceptedEverywhere = Promise.withResolvers<void>();
    const refusedEverywhere = Promise.withResolvers<void>();
    use = async (at) => {
      const gateway = seen[at] as Seen;
      const sentAtMs = performance.now();
      const { status, body } = await call(`${gateways[at]}/recorded/x`, { token: session.token });
      const result = status === 200 ? '200' : `${status} ${body.code ?? ''}`;
      if (result === '200') {
        if (sentAtMs > gateway.refusedAtMs) logout.relapses += 1;
        gateway.acceptedOnce = true;
        if (seen.every(({ acceptedOnce }) => acceptedOnce)) acceptedEverywhere.resolve();
      } else if (result === revoked) {
        gateway.refusedAtMs = Math.min(gateway.refusedAtMs, performance.now());
        if (seen.every(({ refusedAtMs }) => refusedAtMs < Infinity)) refusedEverywhere.resolve();
      }
      return result;
    };
    await within(acceptedEverywhere.promise, 'the session is not accepted everywhere');
    await logOut(logOutAt, session);
    const loggedOutAtMs = performance.now();
    await within(refusedEverywhere.promise, 'a gateway still accepts the session');
    logout.everywhereMs = Math.max(...seen.map(({ refusedAtMs }) => refusedAtMs)) - loggedOutAtMs;
  }

  try {
    for (const [index, session] of sessions.entries()) {
      const logout = { everywhereMs: Infinity, relapses: 0 };
      logouts.push(logout);
      await measure(session, gateways[index % gateways.length] ?? '', logout);
    }
  } finally {
    await load.stop();
  }
  const results = load.outcomes.map(({ result }) => result);
  return {
    /**
     * For each session, the time from the logout response until the last gateway's first refusal, and the requests that
     * a gateway accepted after it had refused this token, which must be zero.
     */
    logouts,
    requests: results.length,
    perSecond: (results.length / load.nowMs()) * 1_000,
    /**
     * Responses other than 200 and a revoked token's 401, as `status code`, and requests without a response. Must be
     * empty.
     */
    unexpected: results.filter((result) => result !== '200' && result !== revoked),
  };
}

async function within(promise: Promise<void>, complaint: string): Promise<void> {
  const isLate = await Promise.race([promise, delay(giveUpAfterMs, true, { ref: false })]);
  if (isLate) throw new Error(complaint);
}
