import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { GatewayConfig, Route } from './config/config.ts';
import { createGeneration, type Generation, type Lasting } from './generation.ts';
import type { Admission } from './upstreams/open-connections.ts';

/** The configuration in force, and how another comes into force. */
export type Generations = Readonly<{
  current(): Generation;
  /**
   * Builds a generation aside, waits until it can judge tokens, and puts it into force whole, between two requests.
   *
   * @param signal Gives up waiting. What is in force stays.
   * @throws StartupError when a file that it names cannot be read. What is in force stays.
   */
  replace(config: GatewayConfig, signal: AbortSignal): Promise<void>;
  /** Lets go of everything. Called when no more requests come. */
  end(): void;
}>;

const warmUpLookMs = 50;

export function createGenerations(first: GatewayConfig, lasting: Lasting): Generations {
  let current = createGeneration(first, lasting);

  function putIntoForce(fresh: Generation): void {
    const old = current;
    current = fresh;
    lasting.open.keepOnly(admittedBy(fresh));
    old.retire();
  }

  return {
    current: () => current,
    async replace(config, signal) {
      const fresh = createGeneration(config, lasting, current);
      try {
        fresh.start();
        await warmedUp(fresh, signal);
      } catch (error) {
        fresh.retire();
        throw error;
      }
      putIntoForce(fresh);
    },
    end: () => current.retire(),
  };
}

/** Without this the first tokens of a new issuer would be answered 503. */
async function warmedUp(generation: Generation, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  while (!isWarm(generation)) await delay(warmUpLookMs, undefined, { signal, ref: false });
}

function isWarm(generation: Generation): boolean {
  const { keys, revocations } = generation.missing();
  return keys.length === 0 && revocations.length === 0;
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
