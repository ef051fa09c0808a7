import type { ClaimPath, Condition, Conditions, Expected, Scalar } from '../../config/config.ts';
import { described, type Finding, oneOfThese } from './finding.ts';

export type Payload = Readonly<Record<string, unknown>>;

/** The value at a path. `blocked` means that a parent in the path is not an object. */
type Read = Readonly<{ value: unknown }> | 'absent' | 'blocked';

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

export const claimOf = (payload: Payload, name: string): unknown =>
  Object.hasOwn(payload, name) ? payload[name] : undefined;

export const pathText = (path: ClaimPath): string => (path.length === 1 ? (path[0] ?? '') : `[${path.join(', ')}]`);

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
function valuesOf(payload: Payload, claim: string): readonly unknown[] {
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

/** Whether one of the alternatives holds. False if there are no alternatives. */
export function isMet(conditions: Conditions, payload: Payload): boolean {
  return conditions.some((all) => all.every((condition) => passes(condition, payload)));
}

/**
 * Describes the condition that a token does not meet, and the token's value: the first failing condition of the
 * alternative with the most met conditions. Undefined if the token passes or there are no conditions.
 */
export function unmet(
  conditions: Conditions,
  payload: Payload,
): Pick<Finding, 'claim' | 'wanted' | 'found'> | undefined {
  if (conditions.length === 0 || isMet(conditions, payload)) return undefined;
  const failed = conditions.map((all) => all.findIndex((condition) => !passes(condition, payload)));
  const last = Math.max(...failed);
  const claim = conditions[failed.indexOf(last)]?.[last]?.claim ?? '';
  return { claim, wanted: conditionsText(conditions), found: described(claimOf(payload, claim)) };
}

function passes({ claim, expected }: Condition, payload: Payload): boolean {
  const value = claimOf(payload, claim);
  const isPresent = value !== undefined && value !== null && value !== '';
  switch (expected.is) {
    case 'present':
      return isPresent;
    case 'absent':
      return !isPresent;
    case 'oneOf':
      return valuesOf(payload, claim).some((one) => (expected.values as readonly unknown[]).includes(one));
    case 'startsWith':
      return typeof value === 'string' && value.startsWith(expected.text);
    case 'endsWith':
      return typeof value === 'string' && value.endsWith(expected.text);
  }
}

/** Words the conditions, such as `token_use is "access"`. */
export function conditionsText(conditions: Conditions): string {
  const words = (all: readonly Condition[]) =>
    all.map(({ claim, expected }) => `${claim} ${expectedText(expected)}`).join(' and ');
  return conditions.map(words).join(', or ');
}

function expectedText(expected: Expected): string {
  switch (expected.is) {
    case 'oneOf':
      return `is ${oneOfThese(expected.values)}`;
    case 'present':
      return 'is present';
    case 'absent':
      return 'is absent';
    case 'startsWith':
      return `begins with "${expected.text}"`;
    case 'endsWith':
      return `ends with "${expected.text}"`;
  }
}
