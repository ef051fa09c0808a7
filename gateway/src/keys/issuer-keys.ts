import type { KeyObject } from 'node:crypto';
import { isPublishedKey } from '@countersign/identity';
import {
  type IgnoredKey,
  type ImportJwk,
  importPublicJwk,
  jwkThumbprint,
  type KeySet,
  KeySetUnavailable,
  noKeys,
  type RemoteKeySetOptions,
  remoteKeySet,
  staticKeySet,
} from '@countersign/jwks';
import { createOutageLog, createReloader, type Logger, StartupError, whyUnreadable } from '@countersign/process-kit';
import type { GatewayConfig, Issuer } from '../config/config.ts';
import { readNamedFile, whyUnusable } from '../config/files.ts';
import { isFetched } from '../config/schema/values/urls.ts';
import { discoveredKeys } from './discovery.ts';

type IssuerKeysConfig = Pick<Issuer, 'issuer' | 'jwks' | 'discovery' | 'algorithms'>;

/** How to fetch keys. packages/jwks has the defaults. */
export type KeySetTiming = Pick<RemoteKeySetOptions, 'cooldownMs' | 'timeoutMs' | 'nowMs' | 'random' | 'timers'>;

const maxStaleMs = 24 * 60 * 60 * 1000;

/**
 * @param isOwn Whether a thumbprint is that of one of the gateway's keys. No issuer may publish such a key: the
 *   gateway's tokens for services would pass for that issuer's.
 * @throws StartupError if the keys are in an unreadable file.
 */
export function openIssuerKeys(
  config: IssuerKeysConfig,
  logger: Logger,
  timing: KeySetTiming = {},
  isOwn: (thumbprint: string) => boolean = () => false,
): KeySet {
  const { issuer, jwks, discovery, algorithms } = config;
  const importJwk: ImportJwk = (jwk, allowed) =>
    isOwn(jwkThumbprint(jwk)) ? { refused: 'foreign' } : importPublicJwk(jwk, allowed);
  // The issuer has opaque tokens only.
  if (jwks === '') return noKeys;
  if (!isFetched(jwks)) return openIssuerKeyFile(config, logger, importJwk);
  const outages = createOutageLog(() => performance.now());
  const metadataOutages = createOutageLog(() => performance.now());
  let isKnown = false;
  return remoteKeySet({
    ...(discovery ? discoveredKeys(issuer) : { url: jwks }),
    ...timing,
    algorithms,
    importJwk,
    maxStaleMs,
    onEvent(event) {
      const { type: _type, ...fields } = event;
      const log = (level: 'info' | 'warn' | undefined, text: string) =>
        level && logger[level]({ issuer, ...fields }, text);
      switch (event.type) {
        case 'url_found':
          metadataOutages.recovered();
          if (event.changed) logger.info({ issuer, jwks: event.url }, 'issuer metadata fetched');
          return;
        case 'url_failed':
          return log(metadataOutages.failed(true), 'issuer metadata cannot be used');
        case 'fetched':
          outages.recovered();
          isKnown = true;
          return log(event.changed ? 'info' : undefined, 'issuer keys fetched');
        case 'failed':
          return log(outages.failed(isKnown), 'issuer keys cannot be fetched');
        case 'key_ignored':
          // A key set may also contain keys for encryption or key agreement.
          return log(event.reason === 'not_for_signatures' ? 'info' : 'warn', 'issuer key ignored');
      }
    },
  });
}

/** Reads the keys every 5 s. An unusable file never replaces them, but throws StartupError if it is the first. */
export function openIssuerKeyFile(
  { issuer, jwks: file, algorithms }: Pick<Issuer, 'issuer' | 'jwks' | 'algorithms'>,
  logger: Logger,
  importJwk: ImportJwk = importPublicJwk,
): KeySet {
  let loggedText: string | undefined;
  const { current, generation, failure, start, stop } = createReloader({
    what: `keys of ${issuer}`,
    load,
    fingerprint: ({ text }) => text,
    logger,
  });

  function load(): Readonly<{ text: string; keys: KeySet }> {
    try {
      const text = readNamedFile(file).toString();
      // Logs ignored keys once per content, not at every read.
      const isNew = text !== loggedText;
      loggedText = text;
      const onIgnored = (ignored: IgnoredKey) => {
        if (isNew) logger.warn({ issuer, ...ignored }, 'issuer key ignored');
      };
      return { text, keys: staticKeySet(JSON.parse(text), { algorithms, importJwk, onIgnored }) };
    } catch (cause) {
      throw new StartupError(`${file}: ${whyUnusable(cause)}`, { cause });
    }
  }

  const find: KeySet['find'] = (kid, algorithm) => current().keys.find(kid, algorithm);
  return {
    get generation() {
      return generation();
    },
    ready: true,
    get stats() {
      return current().keys.stats;
    },
    find,
    async lookup(kid, algorithm) {
      const key = find(kid, algorithm);
      const cause = failure();
      if (key === undefined && cause !== undefined) {
        throw new KeySetUnavailable(`the key is unknown, and the file cannot be read: ${cause}`);
      }
      return key;
    },
    start,
    stop,
  };
}

/** The public keys of the services that may call the internal listener. Each keyid belongs to one service. */
type Owners = ReadonlyMap<string, Readonly<{ serviceId: string; publicKey: KeyObject }>>;

export type ServiceKeys = Readonly<ReturnType<typeof openServiceKeys>>;

/** @throws StartupError for an unusable file, and if two services use the same keyid. */
export function openServiceKeys(services: GatewayConfig['services'], logger: Logger) {
  const { current, ...reloading } = createReloader({
    what: 'service keys',
    load: () => loadServiceKeys(services),
    fingerprint: fingerprintOf,
    logger,
  });
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
    const why = `${whyUnreadable(error)}. It must contain the public keys of ${service}, as a JWK set`;
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
