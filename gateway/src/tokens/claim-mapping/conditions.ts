import type { Condition, Conditions, Expected } from '../../config/config.ts';
import { claimOf, type Payload } from './claim-path.ts';
import { oneOfThese } from './finding.ts';

/** Scopes are one text, with spaces between them (RFC 6749 section 3.3). */
const spaced = new Set(['scope', 'scp']);

/** Whether one of the alternatives holds. Without any, everything passes. */
export function holds(conditions: Conditions, payload: Payload): boolean {
  return conditions.length === 0 || isMet(conditions, payload);
}

/** Whether one of the alternatives holds. Without any, nothing passes. */
export function isMet(conditions: Conditions, payload: Payload): boolean {
  return conditions.some((all) => all.every((condition) => passes(condition, payload)));
}

/** The condition to report: the first one that fails, in the alternative that fails last. */
export function failing(conditions: Conditions, payload: Payload): Condition | undefined {
  const unmet = conditions.flatMap((all) => {
    const at = all.findIndex((condition) => !passes(condition, payload));
    return all[at] === undefined ? [] : [{ at, condition: all[at] }];
  });
  return unmet.toSorted((a, b) => b.at - a.at)[0]?.condition;
}

function passes({ claim, expected }: Condition, payload: Payload): boolean {
  const value = claimOf(payload, claim);
  const isPresent = value !== undefined && value !== null && value !== '';
  switch (expected.is) {
    case 'present':
      return isPresent;
    case 'absent':
      return !isPresent;
    case 'oneOf': {
      const given: readonly unknown[] = Array.isArray(value)
        ? value
        : spaced.has(claim) && typeof value === 'string'
          ? value.split(' ')
          : [value];
      return given.some((one) => (expected.values as readonly unknown[]).includes(one));
    }
    case 'startsWith':
      return typeof value === 'string' && value.startsWith(expected.text);
    case 'endsWith':
      return typeof value === 'string' && value.endsWith(expected.text);
  }
}

/** The conditions in words: `token_use is "access"`. */
export function conditionsText(conditions: Conditions): string {
  const words = (all: readonly Condition[]) =>
    all.map(({ claim, expected }) => `${claim} ${expectedText(expected)}`).join(' and ');
  return conditions.map(words).join(', or ');
}

export function expectedText(expected: Expected): string {
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
