import type { KeyObject } from 'node:crypto';
import { type ImportJwk, importPublicJwk } from './import-jwk.ts';
import { type HeldKey, type IgnoredKey, keyIndex } from './key-set.ts';

export type ParsedJwks = Readonly<{
  /** The keys by {@link keyIndex}. */
  keys: ReadonlyMap<string, HeldKey & Readonly<{ key: KeyObject }>>;
  ignored: readonly IgnoredKey[];
  /** Whether a key is for one of the signer's algorithms: keys for agreement alone verify nothing. */
  isUsable: boolean;
  /** Equal for two sets if and only if their usable keys are equal. */
  fingerprint: string;
}>;

/** The key ids that a token may name: 1 to 256 visible ASCII characters. Keys with any other id are ignored. */
export const kidPattern = /^[\x21-\x7e]{1,256}$/;

const issuers = new WeakMap<KeyObject, string>();

/** Returns a key's `issuer` member (Microsoft Entra), which may contain a variable in braces. */
export const keyIssuer = (key: KeyObject): string | undefined => issuers.get(key);

/** Far more than any real set contains. Importing 100 keys takes a few milliseconds. */
const maxKeys = 100;

/**
 * Reads a JSON Web Key Set (RFC 7517 section 5). Ignores keys that cannot be used safely, each with a reason.
 *
 * @param importJwk Imports one entry. Default: accepts only signature keys.
 * @returns Undefined if the value is not a key set or has more than 100 entries.
 */
export function parseJwks(
  value: unknown,
  algorithms: readonly string[],
  importJwk: ImportJwk = importPublicJwk,
): ParsedJwks | undefined {
  if (!isRecord(value) || !Array.isArray(value.keys) || value.keys.length > maxKeys) return undefined;
  const entries: unknown[] = value.keys;
  const seen = countKids(entries);
  const keys = new Map<string, HeldKey & { key: KeyObject }>();
  const ignored: IgnoredKey[] = [];
  const prints: string[] = [];
  for (const entry of entries) {
    const kid = kidOf(entry);
    if (!isRecord(entry)) ignored.push({ kid, reason: 'malformed' });
    else if (kid === undefined) ignored.push({ kid, reason: 'kid_missing' });
    // Uses neither of two keys with the same id. If the first one won, the order of the entries would decide.
    else if (seen.get(kid) !== 1) ignored.push({ kid, reason: 'kid_duplicate' });
    else {
      const result = importJwk(entry, algorithms);
      if ('refused' in result) ignored.push({ kid, reason: result.refused });
      else {
        keys.set(keyIndex(kid, result.alg), { kid, ...result });
        const issuer = typeof entry.issuer === 'string' ? entry.issuer : undefined;
        if (issuer !== undefined) issuers.set(result.key, issuer);
        const spki = result.key.export({ format: 'der', type: 'spki' }).toString('base64');
        prints.push(`${kid} ${result.alg} ${spki} ${issuer ?? ''}`);
      }
    }
  }
  const isUsable = Array.from(keys.values()).some(({ alg }) => algorithms.includes(alg));
  return { keys, ignored, isUsable, fingerprint: JSON.stringify(prints.sort()) };
}

function countKids(entries: readonly unknown[]): Map<string, number> {
  const seen = new Map<string, number>();
  for (const entry of entries) {
    const kid = kidOf(entry);
    if (kid !== undefined) seen.set(kid, (seen.get(kid) ?? 0) + 1);
  }
  return seen;
}

function kidOf(entry: unknown): string | undefined {
  if (!isRecord(entry)) return undefined;
  const { kid } = entry;
  return typeof kid === 'string' && kidPattern.test(kid) ? kid : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
