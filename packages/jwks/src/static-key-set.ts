import type { ImportJwk } from './import-jwk.ts';
import { type IgnoredKey, type KeySet, KeySetUnavailable, keyIndex } from './key-set.ts';
import { type ParsedJwks, parseJwks } from './parse-jwks.ts';

export type StaticKeySetOptions = Readonly<{
  /** The JOSE names that this signer may use. */
  algorithms: readonly string[];
  /** Imports one entry in the set. Default: accepts only signature keys. */
  importJwk?: ImportJwk;
  onIgnored?: (ignored: IgnoredKey) => void;
}>;

/** Creates a key set that never changes. @throws KeySetUnavailable if there is no usable key. */
export function staticKeySet(jwks: { keys: readonly unknown[] }, options: StaticKeySetOptions): KeySet {
  const parsed = parseJwks(jwks, options.algorithms, options.importJwk);
  for (const ignored of parsed?.ignored ?? []) options.onIgnored?.(ignored);
  if (!parsed?.isUsable) throw new KeySetUnavailable('the key set holds no usable key');
  return fixedKeySet(parsed);
}

/** The keys of a signer that never signs. */
export const noKeys: KeySet = fixedKeySet({ keys: new Map(), ignored: [] });

function fixedKeySet({ keys, ignored }: Pick<ParsedJwks, 'keys' | 'ignored'>): KeySet {
  const find = (kid: string, alg: string) => keys.get(keyIndex(kid, alg))?.key;
  return {
    generation: 1,
    ready: true,
    stats: {
      ageMs: keys.size === 0 ? undefined : 0,
      fetches: 0,
      failures: 0,
      keys: keys.size,
      held: Array.from(keys.values(), ({ kid, alg }) => ({ kid, alg })),
      ignored,
      nextInMs: undefined,
      failure: undefined,
    },
    find,
    lookup: async (kid, alg) => find(kid, alg),
    start() {},
    stop() {},
  };
}
