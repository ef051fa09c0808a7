/** Answers whether one part is usable now. Throw or return a sentence to say why not; return undefined when it is. */
export type HealthCheck = () => string | undefined | Promise<string | undefined>;

/** Readiness of one process: `/readyz` is 503 from the moment `drain` is called, before any listener closes. */
export type Health = Readonly<{
  ready(): Promise<Readonly<{ ok: boolean; checks: Readonly<Record<string, string>> }>>;
  drain(): void;
  readonly draining: boolean;
}>;

/** @param checks Own parts only. A peer's readiness is not ours: two that wait for each other never start. */
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
