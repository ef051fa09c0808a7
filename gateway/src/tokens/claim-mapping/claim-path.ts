import type { ClaimPath, Scalar } from '../../config/config.ts';
import { described } from './finding.ts';

export type Payload = Readonly<Record<string, unknown>>;

/** The value at a path. `blocked` means that a parent in the path is not an object. */
export type Read = Readonly<{ value: unknown }> | 'absent' | 'blocked';

/** Reads only an object's own members, never members of a prototype or items of a list. */
export function readPath(payload: Payload, path: ClaimPath): Read {
  let value: unknown = payload;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'blocked';
    if (!Object.hasOwn(value, step)) return 'absent';
    value = (value as Payload)[step];
  }
  return { value };
}

/** Returns a claim's value. Undefined if the claim is absent. */
export const claimOf = (payload: Payload, name: string): unknown =>
  Object.hasOwn(payload, name) ? payload[name] : undefined;

export const pathText = (path: ClaimPath): string => (path.length === 1 ? (path[0] ?? '') : `[${path.join(', ')}]`);

/** Describes what the token has instead of a value. */
export function foundAt(read: Read): string {
  if (typeof read === 'object') return described(read.value);
  return read === 'absent' ? 'nothing' : 'a parent that is not an object';
}

/** Whether a text in this claim is a list with spaces between the items (RFC 6749 section 3.3). */
const isSpaced = (claim: string | undefined): boolean => claim === 'scope' || claim === 'scp';

/** Returns a claim's texts, from a list or a single text. Undefined for any other type. */
export function textsOf(value: unknown, path: ClaimPath): readonly string[] | undefined {
  if (typeof value === 'string') return path.length === 1 && isSpaced(path[0]) ? value.split(' ') : [value];
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined;
}

/** Returns the values that conditions compare: the items of a list, or the one value. */
export function valuesOf(payload: Payload, claim: string): readonly unknown[] {
  const value = claimOf(payload, claim);
  return textsOf(value, [claim]) ?? (Array.isArray(value) ? value : [value]);
}

const noValues: ReadonlyMap<string, readonly Scalar[]> = new Map();

/**
 * Keeps the values of the claims that routes check. A claim with any other type has no values, so it never matches.
 */
export function keptValues(payload: Payload, claims: readonly string[]): ReadonlyMap<string, readonly Scalar[]> {
  if (claims.length === 0) return noValues;
  return new Map(
    claims.flatMap((claim) => {
      const scalars = valuesOf(payload, claim).filter(isScalar);
      return scalars.length === 0 ? [] : [[claim, scalars] as const];
    }),
  );
}

const isScalar = (value: unknown): value is Scalar =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
