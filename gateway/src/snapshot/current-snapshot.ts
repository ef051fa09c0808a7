import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { StartupError } from '@countersign/service-kit';
import type { GatewayConfig, Route } from '../config/config.ts';
import type { Admission } from '../upstreams/pool/open-connections.ts';
import { createGeneration, type Generation, type Lasting } from './snapshot.ts';

/** The configuration in force, and how another comes into force. */
export type Generations = Readonly<{
  current(): Generation;
  /**
   * Builds a generation aside, waits until it can judge tokens, and puts it into force whole, between two requests.
   *
   * @param withinMs How long it may wait for that.
   * @throws StartupError when a file that it names cannot be read, or an issuer's keys or revocations did not come in time. What is
   *   in force stays.
   */
  replace(config: GatewayConfig, withinMs: number): Promise<void>;
  /** Lets go of everything. Called when no more requests come. */
  end(): void;
}>;

const warmUpLookMs = 50;

export async function createGenerations(first: GatewayConfig, lasting: Lasting): Promise<Generations> {
  let current = await createGeneration(first, lasting);

  function putIntoForce(fresh: Generation): void {
    const old = current;
    current = fresh;
    lasting.open.keepOnly(admittedBy(fresh));
    old.retire();
  }

  return {
    current: () => current,
    async replace(config, withinMs) {
      const fresh = await createGeneration(config, lasting, current);
      try {
        fresh.start();
        await warmedUp(fresh, current, withinMs);
      } catch (error) {
        fresh.retire();
        throw error;
      }
      putIntoForce(fresh);
    },
    end: () => current.retire(),
  };
}

/**
 * Waits until what is new in it is known: without this the first tokens of a new issuer would be answered 503. An issuer that is
 * silent already keeps nobody from changing something else.
 */
async function warmedUp({ trust }: Generation, old: Generation, withinMs: number): Promise<void> {
  const added = [...trust.issuers.values()].map((issuer) => ({
    issuer,
    before: old.trust.issuers.get(issuer.config.issuer),
  }));
  const missing = () =>
    added.flatMap(({ issuer: { config, keys, revocations }, before }) => [
      ...(keys.ready || keys === before?.keys ? [] : [`keys of ${config.issuer}`]),
      ...(revocations?.ready !== false || revocations === before?.revocations
        ? []
        : [`revocations of ${config.issuer}`]),
    ]);
  const untilMs = performance.now() + withinMs;
  while (missing().length > 0) {
    if (performance.now() > untilMs) {
      throw new StartupError(`could not be read within ${withinMs / 1000} s: ${missing().join(', ')}`);
    }
    await delay(warmUpLookMs, undefined, { ref: false });
  }
}

/**
 * Which connections may stay open: those whose route, with its upstream, and whose issuer are still what they were. The others end,
 * as after a logout: their clients come again, and are judged anew.
 */
function admittedBy({ config, trust }: Generation): (admission: Admission) => boolean {
  const routes = new Map(config.routes.map((route) => [route.name, route]));
  const judged = new Map<Route, boolean>();

  function isSame(route: Route): boolean {
    let same = judged.get(route);
    if (same === undefined) {
      same = isDeepStrictEqual(route, routes.get(route.name));
      judged.set(route, same);
    }
    return same;
  }

  return ({ route, token }) =>
    isSame(route) && (token === undefined || trust.issuers.get(token.issuer.config.issuer) === token.issuer);
}
