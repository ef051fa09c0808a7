import { AppError } from '../errors.ts';
import type { Authenticated, Permitted } from './exchange.ts';

/**
 * Evaluates the route's policy for this caller, on every request: the cache of tokens holds identities, never decisions
 * (CVE-2021-32701).
 *
 * The stage throws AppError with the code of the first rule that refuses, such as `token_missing`, `insufficient_role`
 * or `tenant_mismatch`.
 */
export function authorize(authenticated: Authenticated): Permitted {
  const { policy, params, caller, record } = authenticated;
  for (const rule of policy) {
    record.rule = rule.text;
    const refusal = rule.refusal(caller, params);
    if (refusal !== undefined) throw new AppError(refusal, { detail: { why: rule.why(caller, params) } });
  }
  record.allowedBy = record.rule;
  record.rule = undefined;
  return authenticated as Permitted;
}
