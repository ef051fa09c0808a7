import { readFileSync } from 'node:fs';
import { type KeySet, KeySetUnavailable } from './key-set.ts';
import { type StaticKeySetOptions, staticKeySet } from './static-key-set.ts';

/**
 * A key set in a file, read once: who reloads configuration makes a new one.
 *
 * @throws KeySetUnavailable when the file cannot be read, is no key set or holds no usable key.
 */
export function fileKeySet(path: string, options: StaticKeySetOptions): KeySet {
  let jwks: { keys: readonly unknown[] };
  try {
    jwks = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new KeySetUnavailable(`cannot read a key set from ${path}`, { cause });
  }
  return staticKeySet(jwks, options);
}
