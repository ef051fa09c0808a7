import type { AllowedParty, Route } from '../config/config.ts';
import type { Code } from '../errors.ts';
import type { Rule } from '../routing/policy.ts';
import type { Condition } from './report-schema.ts';

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
  { allow, path }: Route,
  side: Condition['side'],
) {
  const pair = (reads: string, passing: Condition['is'], failing: Condition['is'], values: Condition['values']) => ({
    passing: { side, reads, is: passing, values } as const,
    failing: { side, reads, is: failing, values } as const,
  });
  if (rule === undefined) return pair('token', 'not refused', 'refused', [code, ...claims]);
  switch (rule.reads) {
    case 'caller':
      // Without `allow.actors`, an actor is refused before a client is.
      return code === 'client_not_allowed'
        ? pair('actor', 'present', 'absent', [])
        : pair('actor', 'absent', 'present', []);
    case 'binding':
      return pair('binding', 'present', 'absent', []);
    case 'actors':
      return pair('actor', 'absent or any', 'none', (allow.actors ?? []).map(partyText));
    case 'clients':
      return pair('client', 'any', 'none', typeof allow.clients === 'object' ? allow.clients.map(partyText) : []);
    case 'scopes':
      return pair('scopes', 'all', 'not all', typeof allow.scopes === 'object' ? allow.scopes : []);
    case 'roles':
      return pair('role', 'any', 'none', allow.roles ?? []);
    case 'tenant':
      return pair('tenant', 'any', 'none', [`segment ${path.split('/').indexOf(allow.tenant ?? '')}`]);
    default:
      return pair(rule.reads, 'any', 'none', allow.claims?.[rule.reads.slice('claim:'.length)] ?? []);
  }
}

const partyText = ({ name, issuer }: AllowedParty): string => (issuer === undefined ? name : `${name} of ${issuer}`);
