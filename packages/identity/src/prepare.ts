import { serializeContext } from './context.ts';
import type { IdentityFacts, UserClaims } from './identity.ts';
import { componentLine } from './rfc9421.ts';
import { isId, isRole } from './values.ts';

type Header = readonly [name: string, value: string];

/** Everything of a signed request that one token and one audience decide, already in the form that is signed and sent. */
export type PreparedIdentity = Readonly<{
  kind: IdentityFacts['kind'];
  shape: Readonly<{ service: boolean; user: boolean }>;
  /** Lines up to and including `"x-identity-context": `, to which the request adds its address. */
  linesBeforeContext: string;
  /** `x-identity-context` without `ip`. */
  context: string;
  /** Lines after the context, each ending in a line feed. */
  linesAfterContext: string;
  headersBeforeContext: readonly Header[];
  headersAfterContext: readonly Header[];
}>;

/**
 * Checks an identity and makes its fixed parts, once per (token, audience).
 *
 * @throws RangeError on a value outside the contract. A gateway refuses such a token; it never cleans one up.
 */
export function prepareIdentity(facts: IdentityFacts, audience: string): PreparedIdentity {
  const before: Header[] = [
    ['x-identity', facts.kind],
    ['x-identity-audience', checked('audience', audience, isId)],
  ];
  const after: Header[] = [];
  if (facts.kind === 'service') after.push(['x-service-id', checked('service id', facts.serviceId, isId)]);
  const user = facts.kind === 'user' ? facts : facts.kind === 'service' ? facts.user : undefined;
  if (user !== undefined) after.push(...userHeaders(user));
  return {
    kind: facts.kind,
    shape: { service: facts.kind === 'service', user: user !== undefined },
    linesBeforeContext: `${lines(before)}"x-identity-context": `,
    context: serializeContext(facts.context ?? {}),
    linesAfterContext: lines(after),
    headersBeforeContext: before,
    headersAfterContext: after,
  };
}

function userHeaders(user: UserClaims): Header[] {
  return [
    ['x-user-id', checked('user id', user.userId, isId)],
    ['x-user-role', checked('role', user.role, isRole)],
    ['x-tenant-id', checked('tenant id', user.tenantId, isId)],
  ];
}

function lines(headers: readonly Header[]): string {
  return headers.map(([name, value]) => `${componentLine(name, value)}\n`).join('');
}

function checked(what: string, value: string, allowed: (value: string) => boolean): string {
  if (typeof value !== 'string' || !allowed(value)) throw new RangeError(`${what} is outside the identity contract`);
  return value;
}
