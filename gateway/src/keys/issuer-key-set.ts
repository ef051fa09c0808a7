import { type KeySet, KeySetUnavailable, staticKeySet } from '@countersign/jwks';
import { type Logger, StartupError } from '@countersign/service-kit';
import type { Issuer } from '../config/config.ts';
import { readNamedFile } from '../config/files.ts';
import { whyUnusable } from '../config/issuer-key-file.ts';
import { createReloader } from './reloader.ts';

/**
 * The keys of an issuer in a JWK set file, read every 5 s under the same rules as a fetched set. A file that cannot be
 * read, or holds no usable key, never replaces the current keys.
 *
 * @throws StartupError when the first reading fails.
 */
export function openIssuerKeyFile(
  { issuer, jwks: file, algorithms }: Pick<Issuer, 'issuer' | 'jwks' | 'algorithms'>,
  logger: Logger,
): KeySet {
  let loggedText: string | undefined;
  const { current, failure, start, stop } = createReloader({
    what: `keys of ${issuer}`,
    load: () => readKeys(file, (text) => ({ text, keys: keysIn(text) })),
    fingerprint: ({ text }) => text,
    logger,
  });

  function keysIn(text: string): KeySet {
    // Log ignored keys once per content, not at every reading.
    const isNew = text !== loggedText;
    loggedText = text;
    return staticKeySet(JSON.parse(text), {
      algorithms,
      onIgnored(ignored) {
        if (isNew) logger.warn({ issuer, ...ignored }, 'issuer key ignored');
      },
    });
  }

  let seen = current();
  let generation = 1;
  const currentKeys = () => {
    if (current() !== seen) {
      seen = current();
      generation += 1;
    }
    return seen.keys;
  };
  return {
    get generation() {
      currentKeys();
      return generation;
    },
    ready: true,
    get stats() {
      return currentKeys().stats;
    },
    find: (kid, algorithm) => currentKeys().find(kid, algorithm),
    async lookup(kid, algorithm) {
      const key = currentKeys().find(kid, algorithm);
      const cause = failure();
      if (key === undefined && cause !== undefined) {
        throw new KeySetUnavailable(`the key is not held, and the file cannot be read: ${cause}`);
      }
      return key;
    },
    start,
    stop,
  };
}

function readKeys<T>(file: string, read: (text: string) => T): T {
  try {
    return read(readNamedFile(file).toString());
  } catch (error) {
    throw new StartupError(`${file}: ${whyUnusable(error)}`, { cause: error });
  }
}
