import type { Condition, Conditions, Expected } from '../../config/config.ts';
import { claimOf, type Payload, valuesOf } from './claim-path.ts';
import { described, type Finding, oneOfThese } from './finding.ts';

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
