import { AppError } from '../errors.ts';
import type { Authenticated, Permitted } from '../exchange.ts';
import { verdictsOn } from '../routing/policy.ts';

/**
 * Asks the route's rules about this caller, on every request: a remembered token says who it is, never what it may do
 * (CVE-2021-32701).
 *
 * The stage throws AppError with the code of the first rule that refuses: `token_missing`, `insufficient_role`, `tenant_mismatch`.
 */
export function authorize(authenticated: Authenticated): Permitted {
  const { route, params, caller, record } = authenticated;
  for (const { rule, refusal, why } of verdictsOn(route, params, caller)) {
    record.rule = rule;
    if (refusal !== undefined) throw new AppError(refusal, { detail: { why } });
  }
  return authenticated as Permitted;
}
