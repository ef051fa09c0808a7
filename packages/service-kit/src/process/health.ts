/** Checks one part. Returns undefined when it is usable, and otherwise returns or throws the reason. */
export type HealthCheck = () => string | undefined | Promise<string | undefined>;

/** Readiness of one process. After `drain`, `/readyz` answers 503 while the listeners are still open. */
export type Health = Readonly<{
  ready(): Promise<Readonly<{ ok: boolean; checks: Readonly<Record<string, string>> }>>;
  drain(): void;
  readonly draining: boolean;
}>;

/** @param checks This process's own parts. Two processes that check each other's readiness never start. */
export function createHealth(checks: Readonly<Record<string, HealthCheck>>): Health {
  let draining = false;
  return {
    async ready() {
      const entries = await Promise.all(
        Object.entries(checks).map(async ([name, check]): Promise<[string, string]> => {
          try {
            return [name, (await check()) ?? 'ok'];
          } catch (error) {
            return [name, error instanceof Error ? error.message : 'failed'];
          }
        }),
      );
      if (draining) entries.push(['lifecycle', 'draining']);
      return { ok: entries.every(([, state]) => state === 'ok'), checks: Object.fromEntries(entries) };
    },
    drain() {
      draining = true;
    },
    get draining() {
      return draining;
    },
  };
}
