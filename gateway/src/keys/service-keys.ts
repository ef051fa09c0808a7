import type { KeyObject } from 'node:crypto';
import { isPublishedKey } from '@countersign/identity';
import { type IgnoredKey, type KeySet, KeySetUnavailable, staticKeySet } from '@countersign/jwks';
import { createReloader, type Logger, StartupError } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { readNamedFile } from '../config/files.ts';

/** The public keys of the services that may call the internal listener. Each keyid belongs to one service. */
type Owners = ReadonlyMap<string, Readonly<{ serviceId: string; publicKey: KeyObject }>>;

/** The keys of the calling services, reloaded while the gateway runs. */
export type ServiceKeys = Readonly<ReturnType<typeof openServiceKeys>>;

/**
 * Reads the services' keys and reloads them.
 *
 * @throws StartupError if a file is unreadable or contains no ed25519 key, or if two services use the same keyid.
 */
export function openServiceKeys(services: GatewayConfig['services'], logger: Logger) {
  const { current, ...reloading } = createReloader({
    what: 'service keys',
    load: () => loadServiceKeys(services),
    fingerprint: fingerprintOf,
    logger,
  });
  /** Finds a key and the service that owns it. */
  const find = (keyid: string) => current().get(keyid);
  return { find, ...reloading };
}

function loadServiceKeys(services: GatewayConfig['services']): Owners {
  const owners = new Map<string, { serviceId: string; publicKey: KeyObject }>();
  for (const { name, keysFile } of services.values()) {
    for (const [keyid, publicKey] of readKeysFile(name, keysFile)) {
      const other = owners.get(keyid);
      if (other !== undefined) {
        throw new StartupError(`${keysFile}: key ${keyid} of ${name} also belongs to ${other.serviceId}`);
      }
      owners.set(keyid, { serviceId: name, publicKey });
    }
  }
  return owners;
}

/** Returns equal texts for equal keys of the same services. */
function fingerprintOf(owners: Owners): string {
  const prints = Array.from(owners, ([keyid, { serviceId, publicKey }]) => {
    return `${serviceId} ${keyid} ${publicKey.export({ format: 'der', type: 'spki' }).toString('base64')}`;
  });
  return prints.sort().join('\n');
}

function readKeysFile(service: string, file: string): readonly (readonly [keyid: string, key: KeyObject])[] {
  const refuse = (why: string, cause?: unknown) => new StartupError(`${file}: keys of ${service}: ${why}`, { cause });
  const ignored: string[] = [];
  const onIgnored = ({ kid, reason }: IgnoredKey) => ignored.push(`${kid ?? 'a key'}: ${reason}`);
  let set: KeySet;
  try {
    set = staticKeySet(JSON.parse(readNamedFile(file).toString()), { algorithms: ['EdDSA'], onIgnored });
  } catch (error) {
    if (error instanceof KeySetUnavailable)
      throw refuse(['contains no ed25519 public key', ...ignored].join(', '), error);
    const { code } = error as NodeJS.ErrnoException;
    const why = `cannot be read (${code}). It must contain the public keys of ${service}, as a JWK set`;
    throw refuse(code === undefined ? 'is not JSON' : why, error);
  }
  // Refuses the file instead of ignoring the key. Otherwise the service's calls would fail later for no obvious
  // reason.
  if (ignored.length > 0) throw refuse(ignored.join(', '));
  const keys = set.stats.held.map(({ kid, alg }) => [kid, set.find(kid, alg) as KeyObject] as const);
  const published = keys.find(([kid, key]) => isPublishedKey({ kid, x: key.export({ format: 'jwk' }).x }));
  if (published) throw refuse(`${published[0]} is a published test key: anyone can sign with it`);
  return keys;
}
