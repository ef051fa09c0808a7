import { serializeContext } from '../contract/context.ts';
import { type CoveredMask, coveredRules, type HeaderRule } from '../contract/contract.ts';
import type { IdentityFacts } from '../contract/identity.ts';
import { componentLine } from '../contract/rfc9421.ts';

type Header = readonly [name: string, value: string];

/** Everything of a signed request that one token and one audience decide, in the form that is signed and sent. */
export type PreparedIdentity = Readonly<{
  kind: IdentityFacts['kind'];
  /** The headers below, as bits. */
  covered: CoveredMask;
  /** Lines up to and including `"x-identity-context": `, to which the request adds its address. */
  linesBeforeContext: string;
  /** `x-identity-context` without `ip`. */
  context: string;
  /** Lines after the context, each ending in a line feed. */
  linesAfterContext: string;
  headersBeforeContext: readonly Header[];
  headersAfterContext: readonly Header[];
}>;

const contextAt = coveredRules.findIndex(({ name }) => name === 'x-identity-context');

/**
 * Checks an identity and makes its fixed parts, once per token and audience.
 *
 * @throws RangeError on a value outside the contract. A gateway refuses such a token; it never cleans one up.
 */
export function prepareIdentity(facts: IdentityFacts, audience: string): PreparedIdentity {
  const before: Header[] = [];
  const after: Header[] = [];
  let covered = 1 << contextAt;
  coveredRules.forEach((rule, index) => {
    const value = rule.fromToken?.(facts, audience);
    if (rule.fromToken === undefined || (value === undefined && !isRequired(rule, facts))) return;
    (index < contextAt ? before : after).push([rule.name, checked(rule, value)]);
    covered |= 1 << index;
  });
  return {
    kind: facts.kind,
    covered,
    linesBeforeContext: `${lines(before)}"x-identity-context": `,
    context: serializeContext(facts.context ?? {}),
    linesAfterContext: lines(after),
    headersBeforeContext: before,
    headersAfterContext: after,
  };
}

/** A header of a user whom the service acts for is as required as that of a user. */
function isRequired(rule: HeaderRule, facts: IdentityFacts): boolean {
  const presence = rule.present[facts.kind];
  return presence === 'all-or-none' ? facts.kind === 'service' && facts.user !== undefined : presence === 'required';
}

function lines(headers: readonly Header[]): string {
  return headers.map(([name, value]) => `${componentLine(name, value)}\n`).join('');
}

function checked({ name, grammar }: HeaderRule, value: string | undefined): string {
  if (typeof value !== 'string' || !grammar.matches(value))
    throw new RangeError(`${name} is outside the identity contract`);
  return value;
}
