/**
 * Checks one part. Returns undefined if it is usable, and otherwise returns or throws the reason. With `usableWithout`,
 * the process stays ready and only shows the reason.
 */
export type HealthCheck = () => Finding | Promise<Finding>;

type Finding = string | Readonly<{ usableWithout: string }> | undefined;

/** A process's readiness. After `drain`, `/readyz` responds with 503 while the listeners are still open. */
export type Health = Readonly<{
  ready(): Promise<Readonly<{ ok: boolean; checks: Readonly<Record<string, string>> }>>;
  drain(): void;
  readonly draining: boolean;
}>;

/**
 * @param checks Checks of this process's own parts. Two processes that check each other's readiness would never start.
 */
export function createHealth(checks: Readonly<Record<string, HealthCheck>>): Health {
  const health = {
    draining: false,
    async ready() {
      const entries = await Promise.all(
        Object.entries(checks).map(async ([name, check]): Promise<[name: string, state: string, ok: boolean]> => {
          try {
            const finding = (await check()) ?? { usableWithout: 'ok' };
            return typeof finding === 'string' ? [name, finding, false] : [name, finding.usableWithout, true];
          } catch (error) {
            return [name, error instanceof Error ? error.message : 'failed', false];
          }
        }),
      );
      if (health.draining) entries.push(['lifecycle', 'draining', false]);
      return { ok: entries.every(([, , ok]) => ok), checks: Object.fromEntries(entries) };
    },
    drain() {
      health.draining = true;
    },
  };
  return health;
}
