import type { Logger } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { type GatewayKeySet, loadGatewayKeys } from './gateway-keys.ts';
import { type Reloaded, reloaded } from './reloaded.ts';
import { loadServiceKeys, type ServiceKeys } from './service-keys.ts';

/** Every key that is kept in files, as the files are now. */
export type CurrentKeys = Readonly<{
  gateway: GatewayKeySet;
  services: Pick<ServiceKeys, 'find'>;
  /** Looks at the files at once. */
  reload(): void;
  start(): void;
  stop(): void;
}>;

/**
 * Which key signs follows from the files and the time alone, so replicas that share the directory agree without asking each
 * other: a new key is seen by all within seconds, published by all, and used by all from its `nbf` on.
 *
 * @throws StartupError when any of them cannot be read.
 */
export function openKeys(
  config: Pick<GatewayConfig, 'identity' | 'services'>,
  nowSec: () => number,
  logger: Logger,
): CurrentKeys {
  const gateway = reloaded({
    what: 'gateway keys',
    load: () => loadGatewayKeys(config.identity.keysDir, nowSec()),
    fingerprint: ({ keys }) => JSON.stringify(keys.map((key) => [key.keyid, key.notBeforeSec, key.expiresSec])),
    logger,
  });
  const services = reloaded({
    what: 'service keys',
    load: () => loadServiceKeys(config.services),
    fingerprint: (keys) => keys.fingerprint,
    logger,
  });
  const both: readonly Reloaded<unknown>[] = [gateway, services];
  return {
    gateway: {
      get keys() {
        return gateway.current().keys;
      },
      signingKey: (at) => gateway.current().signingKey(at),
      find: (keyid, at) => gateway.current().find(keyid, at),
      publicJwks: (at) => gateway.current().publicJwks(at),
    },
    services: { find: (keyid) => services.current().find(keyid) },
    reload() {
      for (const files of both) files.reload();
    },
    start() {
      for (const files of both) files.start();
    },
    stop() {
      for (const files of both) files.stop();
    },
  };
}
