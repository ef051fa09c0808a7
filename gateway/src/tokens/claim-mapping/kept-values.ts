import type { Scalar } from '../../config/config.ts';
import { claimOf, type Payload } from './claim-path.ts';
import { textsOf } from './text-list.ts';

const noValues: ReadonlyMap<string, readonly Scalar[]> = new Map();

/** Keeps the values of the claims that routes check. A claim of another type has no value, so it never fits. */
export function keptValues(payload: Payload, claims: readonly string[]): ReadonlyMap<string, readonly Scalar[]> {
  if (claims.length === 0) return noValues;
  return new Map(
    claims.flatMap((claim) => {
      const value = claimOf(payload, claim);
      const values = textsOf(value, [claim]) ?? (Array.isArray(value) ? value : [value]);
      const scalars = values.filter(isScalar);
      return scalars.length === 0 ? [] : [[claim, scalars] as const];
    }),
  );
}

const isScalar = (value: unknown): value is Scalar =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
