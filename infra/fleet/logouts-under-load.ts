import { Pool } from 'undici';

export type Session = Readonly<{ token: string }>;

/** The results for one session that was in use at every gateway. */
export type LogoutMeasure = Readonly<{
  /** From the logout's answer until the last gateway had answered with its first refusal. */
  everywhereMs: number;
  /** Requests that passed although the same gateway had refused this token before. Must be zero. */
  relapses: number;
}>;

export type LoadResult = Readonly<{
  logouts: readonly LogoutMeasure[];
  requests: number;
  perSecond: number;
  /**
   * Answers other than 200 and a revoked token's 401, as `status code`, and requests without an answer. Must be empty.
   */
  unexpected: readonly string[];
}>;

export type LoadOptions = Readonly<{
  gateways: readonly string[];
  path: string;
  sessions: readonly Session[];
  requestsPerSecond: number;
  /** Logs the session out at one gateway; settles when that is answered. */
  logOut(gateway: string, session: Session): Promise<void>;
}>;

type Seen = { acceptedOnce: boolean; refusedAtMs: number | undefined };

const giveUpAfterMs = 10_000;

/**
 * Uses each session in turn at all gateways, logs it out meanwhile, and continues until every gateway refuses it.
 *
 * @throws Error when a gateway still accepts a token 10 s after its logout.
 */
export async function logoutsUnderLoad(options: LoadOptions): Promise<LoadResult> {
  const { gateways, path, sessions, requestsPerSecond, logOut } = options;
  const pools = gateways.map((url) => new Pool(url, { pipelining: 1 }));
  const logouts: LogoutMeasure[] = [];
  const unexpected: string[] = [];
  const underWay = new Set<Promise<void>>();
  let requests = 0;
  let use: (turn: number) => Promise<void> = async () => {};
  const startedAt = performance.now();
  const load = setInterval(() => {
    // Send as many requests as are due by now, because a timer alone would fall behind.
    while (requests < ((performance.now() - startedAt) / 1000) * requestsPerSecond) {
      const request = use(requests).catch((error: Error) => void unexpected.push(error.message));
      underWay.add(request);
      void request.finally(() => underWay.delete(request));
      requests += 1;
    }
  }, 2);

  async function measure(session: Session, index: number): Promise<LogoutMeasure> {
    const seen = gateways.map((): Seen => ({ acceptedOnce: false, refusedAtMs: undefined }));
    const acceptedEverywhere = Promise.withResolvers<void>();
    const refusedEverywhere = Promise.withResolvers<void>();
    let relapses = 0;
    use = async (turn) => {
      const at = turn % gateways.length;
      const gateway = seen[at];
      const pool = pools[at];
      if (gateway === undefined || pool === undefined) return;
      const sentAtMs = performance.now();
      const { statusCode, body } = await pool.request({
        path,
        method: 'GET',
        headers: { authorization: `Bearer ${session.token}` },
      });
      const text = await body.text();
      if (statusCode === 200) {
        if (gateway.refusedAtMs !== undefined && sentAtMs > gateway.refusedAtMs) relapses += 1;
        gateway.acceptedOnce = true;
        if (seen.every(({ acceptedOnce }) => acceptedOnce)) acceptedEverywhere.resolve();
      } else if (statusCode === 401 && text.includes('token_revoked')) {
        gateway.refusedAtMs ??= performance.now();
        if (seen.every(({ refusedAtMs }) => refusedAtMs !== undefined)) refusedEverywhere.resolve();
      } else {
        unexpected.push(`${statusCode} ${/"code":"([a-z_]+)"/.exec(text)?.[1] ?? ''}`);
      }
    };
    await within(acceptedEverywhere.promise, 'the session is not taken everywhere');
    await logOut(gateways[index % gateways.length] ?? '', session);
    const loggedOutAtMs = performance.now();
    await within(refusedEverywhere.promise, 'the session is still taken somewhere');
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
    clearInterval(load);
    await Promise.allSettled(underWay);
    await Promise.all(pools.map((pool) => pool.close()));
  }
  const perSecond = requests / ((performance.now() - startedAt) / 1000);
  return { logouts, requests, perSecond, unexpected };
}

async function within(promise: Promise<void>, complaint: string): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(complaint)), giveUpAfterMs);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
