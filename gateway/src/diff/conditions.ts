import type { Route } from '../config/config.ts';
import type { Code } from '../errors.ts';
import type { Rule, RuleInput } from '../routing/policy.ts';
import type { Condition } from './report-schema.ts';

/** By what a rule reads: its name, and what is true of a caller that passes and of one that fails. */
const forms: Partial<Record<RuleInput, readonly [reads: string, passing: Condition['is'], failing: Condition['is']]>> =
  {
    caller: ['actor', 'absent', 'present'],
    binding: ['binding', 'present', 'absent'],
    actors: ['actor', 'absent or any', 'none'],
    clients: ['client', 'any', 'none'],
    scopes: ['scopes', 'all', 'not all'],
    roles: ['role', 'any', 'none'],
  };

/**
 * Describes the callers that pass a check, and those that fail.
 *
 * @param claims The claims that the check reads, if the token is refused.
 * @param rule Undefined if reading the token fails.
 * @param side Whose reading of the token counts.
 */
export function conditionsOn(
  claims: readonly string[],
  rule: Rule | undefined,
  code: Code,
  { path }: Route,
  side: Condition['side'],
): Readonly<Record<'passing' | 'failing', Condition>> {
  const pair = (reads: string, passing: Condition['is'], failing: Condition['is'], values: Condition['values']) => ({
    passing: { side, reads, is: passing, values },
    failing: { side, reads, is: failing, values },
  });
  if (rule === undefined) return pair('token', 'not refused', 'refused', [code, ...claims]);
  const { reads, listed } = rule;
  // Without `allow.actors`, an actor is refused before a client is.
  if (reads === 'caller' && code === 'client_not_allowed') return pair('actor', 'present', 'absent', []);
  const [name, passing, failing] = forms[reads] ?? [reads, 'any', 'none'];
  const segment = `segment ${path.split('/').indexOf(String(listed[0]))}`;
  return pair(name, passing, failing, reads === 'tenant' ? [segment] : listed);
}
