import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { StartupError } from '@countersign/service-kit';
import type { GatewayConfig, Route } from '../config/config.ts';
import type { Admission } from '../upstreams/pool/open-connections.ts';
import type { ProcessResources } from './process-resources.ts';
import { createSnapshot, type Snapshot } from './snapshot.ts';

/** The current snapshot. A reload replaces it. */
export type CurrentSnapshot = Readonly<{
  current(): Snapshot;
  /**
   * Builds a snapshot, waits until it can verify tokens, and then uses it for all new requests.
   *
   * @param withinMs How long to wait for the keys and revocations of new issuers.
   * @throws StartupError when a file cannot be read, or keys or revocations did not arrive in time. The old snapshot stays current.
   */
  replace(config: GatewayConfig, withinMs: number): Promise<void>;
  /** Releases the current snapshot after its last request. Call it once no more requests can arrive. */
  close(): void;
}>;

const checkEveryMs = 50;

export async function createCurrentSnapshot(
  first: GatewayConfig,
  resources: ProcessResources,
): Promise<CurrentSnapshot> {
  let current = await createSnapshot(first, resources);

  function swapIn(fresh: Snapshot): void {
    const old = current;
    current = fresh;
    resources.connections.keepOnly(stillAllowedBy(fresh));
    old.retire();
  }

  return {
    current: () => current,
    async replace(config, withinMs) {
      const fresh = await createSnapshot(config, resources, current);
      try {
        fresh.start();
        await waitUntilReady(fresh, current, withinMs);
      } catch (error) {
        fresh.retire();
        throw error;
      }
      swapIn(fresh);
    },
    close: () => current.retire(),
  };
}

/**
 * Waits for the keys and revocations of new issuers. Without this, the first requests with tokens of a new issuer would get 503. An
 * unchanged issuer that is already unreachable does not block a reload.
 */
async function waitUntilReady({ trust }: Snapshot, old: Snapshot, withinMs: number): Promise<void> {
  const issuers = [...trust.issuers.values()].map((issuer) => ({
    issuer,
    before: old.trust.issuers.get(issuer.config.issuer),
  }));
  const missing = () =>
    issuers.flatMap(({ issuer: { config, keys, revocations }, before }) => [
      ...(keys.ready || keys === before?.keys ? [] : [`keys of ${config.issuer}`]),
      ...(revocations?.ready !== false || revocations === before?.revocations
        ? []
        : [`revocations of ${config.issuer}`]),
    ]);
  const untilMs = performance.now() + withinMs;
  while (missing().length > 0) {
    if (performance.now() > untilMs) {
      throw new StartupError(`timed out after ${withinMs / 1000} s waiting for ${missing().join(', ')}`);
    }
    await delay(checkEveryMs, undefined, { ref: false });
  }
}

/**
 * Decides whether a connection may stay open: only if its route, upstream and token issuer are unchanged. Other connections are closed.
 * Their clients reconnect and are authorized again.
 */
function stillAllowedBy({ config, trust }: Snapshot): (admission: Admission) => boolean {
  const routes = new Map(config.routes.map((route) => [route.name, route]));
  const results = new Map<Route, boolean>();

  function isSame(route: Route): boolean {
    let same = results.get(route);
    if (same === undefined) {
      same = isDeepStrictEqual(route, routes.get(route.name));
      results.set(route, same);
    }
    return same;
  }

  return ({ route, token }) =>
    isSame(route) && (token === undefined || trust.issuers.get(token.issuer.config.issuer) === token.issuer);
}
