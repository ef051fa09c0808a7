import {
  type IgnoredKey,
  type KeySet,
  KeySetUnavailable,
  type RemoteKeySetOptions,
  remoteKeySet,
  staticKeySet,
} from '@countersign/jwks';
import { createOutageLog, createReloader, type Logger, StartupError } from '@countersign/service-kit';
import type { Issuer } from '../config/config.ts';
import { readNamedFile } from '../config/files.ts';
import { whyUnusable } from '../config/issuer-key-file.ts';
import { isFetched } from '../config/schema/values/urls.ts';
import { discoveredKeys } from './discovery.ts';

/** The configuration that an issuer's key set needs. */
export type IssuerKeysConfig = Pick<Issuer, 'issuer' | 'jwks' | 'discovery' | 'algorithms'>;

/** How to fetch keys. packages/jwks has the defaults. */
export type KeySetTiming = Pick<RemoteKeySetOptions, 'cooldownMs' | 'timeoutMs' | 'nowMs' | 'random' | 'timers'>;

const maxStaleMs = 24 * 60 * 60 * 1000;

/** The keys of an issuer with opaque tokens only. */
export const noKeys: KeySet = {
  generation: 0,
  ready: true,
  stats: {
    ageMs: undefined,
    fetches: 0,
    failures: 0,
    keys: 0,
    held: [],
    ignored: [],
    nextInMs: undefined,
    failure: undefined,
  },
  find: () => undefined,
  lookup: async () => undefined,
  start() {},
  stop() {},
};

/** @throws StartupError if the keys are in an unreadable file. */
export function openIssuerKeys(config: IssuerKeysConfig, logger: Logger, timing: KeySetTiming = {}): KeySet {
  const { issuer, jwks, discovery, algorithms } = config;
  if (jwks === '') return noKeys;
  if (!isFetched(jwks)) return openIssuerKeyFile(config, logger);
  const outages = createOutageLog(() => performance.now());
  const metadataOutages = createOutageLog(() => performance.now());
  let isKnown = false;
  return remoteKeySet({
    ...(discovery ? discoveredKeys(issuer) : { url: jwks }),
    ...timing,
    algorithms,
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

/**
 * Reads an issuer's keys from a JWK set file every 5 s, under the same rules as a fetched set. An unreadable file, or
 * a file without usable keys, never replaces the current keys.
 *
 * @throws StartupError if the first read fails.
 */
export function openIssuerKeyFile(
  { issuer, jwks: file, algorithms }: Pick<Issuer, 'issuer' | 'jwks' | 'algorithms'>,
  logger: Logger,
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
      return { text, keys: staticKeySet(JSON.parse(text), { algorithms, onIgnored }) };
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
