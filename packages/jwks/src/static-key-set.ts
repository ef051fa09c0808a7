import type { ImportJwk } from './import-jwk.ts';
import { heldKeys, type IgnoredKey, type KeySet, KeySetUnavailable, keyIndex } from './key-set.ts';
import { parseJwks } from './parse-jwks.ts';

export type StaticKeySetOptions = Readonly<{
  /** The JOSE names that this signer may use. */
  algorithms: readonly string[];
  /** Imports one entry in the set. Default: accepts only signature keys. */
  importJwk?: ImportJwk;
  onIgnored?: (ignored: IgnoredKey) => void;
}>;

/**
 * Creates a key set that never changes, under the same rules as a fetched one.
 *
 * @throws KeySetUnavailable if there is no usable key, so that the process fails at startup instead of at each
 *   request.
 */
export function staticKeySet(jwks: { keys: readonly unknown[] }, options: StaticKeySetOptions): KeySet {
  const parsed = parseJwks(jwks, options.algorithms, options.importJwk);
  for (const ignored of parsed?.ignored ?? []) options.onIgnored?.(ignored);
  if (parsed === undefined || parsed.keys.size === 0) throw new KeySetUnavailable('the key set holds no usable key');
  const { keys } = parsed;
  const find = (kid: string, alg: string) => keys.get(keyIndex(kid, alg));
  return {
    generation: 1,
    ready: true,
    stats: {
      ageMs: 0,
      fetches: 0,
      failures: 0,
      keys: keys.size,
      held: heldKeys(keys.keys()),
      ignored: parsed.ignored,
      nextInMs: undefined,
      failure: undefined,
    },
    find,
    lookup: async (kid, alg) => find(kid, alg),
    start() {},
    stop() {},
  };
}
