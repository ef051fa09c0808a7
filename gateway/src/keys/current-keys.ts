import type { Logger } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { type GatewayKeySet, loadGatewayKeys } from './gateway-keys.ts';
import { type Reloaded, reloaded } from './reloaded.ts';
import { loadServiceKeys, type ServiceKeys } from './service-keys.ts';

type Reloading = Pick<Reloaded<unknown>, 'reload' | 'start' | 'stop'>;

/** The keys of the gateway's directory, as its files are now. */
export type CurrentGatewayKeys = GatewayKeySet & Reloading;

/** The keys of the services that call, as their files are now. */
export type CurrentServiceKeys = Pick<ServiceKeys, 'find'> & Reloading;

/**
 * Which key signs follows from the files and the time alone, so replicas that share the directory agree without asking each
 * other: a new key is seen by all within seconds, published by all, and used by all from its `nbf` on.
 *
 * @throws StartupError when any of them cannot be read.
 */
export function openGatewayKeys(directory: string, nowSec: () => number, logger: Logger): CurrentGatewayKeys {
  const { current, ...reloading } = reloaded({
    what: 'gateway keys',
    load: () => loadGatewayKeys(directory, nowSec()),
    fingerprint: ({ keys }) => JSON.stringify(keys.map((key) => [key.keyid, key.notBeforeSec, key.expiresSec])),
    logger,
  });
  return {
    get keys() {
      return current().keys;
    },
    signingKey: (at) => current().signingKey(at),
    find: (keyid, at) => current().find(keyid, at),
    publicJwks: (at) => current().publicJwks(at),
    ...reloading,
  };
}

/** @throws StartupError when any of the files cannot be read. */
export function openServiceKeys(services: GatewayConfig['services'], logger: Logger): CurrentServiceKeys {
  const { current, ...reloading } = reloaded({
    what: 'service keys',
    load: () => loadServiceKeys(services),
    fingerprint: (keys) => keys.fingerprint,
    logger,
  });
  return { find: (keyid) => current().find(keyid), ...reloading };
}
