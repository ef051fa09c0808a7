/** Returns why a part is not usable, or throws. With `usableWithout`, the process stays ready and shows the reason. */
export type HealthCheck = () => CheckResult | Promise<CheckResult>;

type CheckResult = string | Readonly<{ usableWithout: string }> | undefined;

/** A process's readiness. After `drain`, `/readyz` responds with 503 while the listeners are still open. */
export type Health = Readonly<ReturnType<typeof createHealth>>;

/** @param checks Of this process's own parts. Two processes that check each other would never start. */
export function createHealth(checks: Readonly<Record<string, HealthCheck>>) {
  const health = {
    draining: false,
    async ready() {
      const entries = await Promise.all(
        Object.entries(checks).map(async ([name, check]): Promise<[name: string, state: string, ok: boolean]> => {
          try {
            const result = (await check()) ?? { usableWithout: 'ok' };
            return typeof result === 'string' ? [name, result, false] : [name, result.usableWithout, true];
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
