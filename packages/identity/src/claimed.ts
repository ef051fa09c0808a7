import type { Shape } from './components.ts';
import { parseContext } from './context.ts';
import { isContentDigest } from './digest.ts';
import type { Identity, IdentityKind, UserClaims } from './identity.ts';
import { IdentityRefused } from './refusal.ts';
import * as values from './values.ts';

/** What the headers claim: nothing of it is true before the signature is verified. */
export type ClaimedIdentity = Readonly<{ identity: Identity; audience: string; shape: Shape }>;

type Headers = ReadonlyMap<string, string>;

/**
 * Reads the identity headers and derives, from `x-identity` and the headers present, the one shape that a signature over them
 * can have.
 *
 * @throws IdentityRefused `header_missing`, `header_malformed`, or `coverage_insufficient` for a header that this kind of identity
 *   does not have and that its signature therefore cannot cover.
 */
export function readClaimed(headers: Headers): ClaimedIdentity {
  const requestId = required(headers, 'x-request-id', values.isRequestId);
  const kind = kindOf(headers);
  const audience = required(headers, 'x-identity-audience', values.isId);
  const context = parseContext(required(headers, 'x-identity-context', (value) => value.length <= 2048));
  if (context === undefined) throw new IdentityRefused('header_malformed', 'x-identity-context');
  const common = { requestId, context };
  const shape = { service: kind === 'service', user: hasUser(headers, kind), ...messageShape(headers) };
  switch (kind) {
    case 'user':
      return { audience, shape, identity: { kind, ...common, ...userOf(headers), ...txnTokenOf(headers) } };
    case 'service': {
      const serviceId = required(headers, 'x-service-id', values.isId);
      const user = shape.user ? { user: userOf(headers) } : {};
      return { audience, shape, identity: { kind, ...common, serviceId, ...user, ...txnTokenOf(headers) } };
    }
    case 'anonymous':
    case 'gateway':
      absent(headers, 'txn-token');
      return { audience, shape, identity: { kind, ...common } };
  }
}

const kinds: readonly IdentityKind[] = ['user', 'anonymous', 'service', 'gateway'];

function kindOf(headers: Headers): IdentityKind {
  const value = headers.get('x-identity');
  if (value === undefined) throw new IdentityRefused('header_missing', 'x-identity');
  const kind = kinds.find((known) => known === value);
  if (kind === undefined) throw new IdentityRefused('header_malformed', 'x-identity');
  return kind;
}

function hasUser(headers: Headers, kind: IdentityKind): boolean {
  if (kind !== 'service') absent(headers, 'x-service-id');
  if (kind === 'user') return true;
  if (kind === 'service') {
    return headers.has('x-user-id') || headers.has('x-user-role') || headers.has('x-tenant-id');
  }
  absent(headers, 'x-user-id');
  absent(headers, 'x-user-role');
  absent(headers, 'x-tenant-id');
  return false;
}

function messageShape(headers: Headers): Omit<Shape, 'service' | 'user'> {
  const contentDigest = optional(headers, 'content-digest', isContentDigest) !== undefined;
  const upgrade = optional(headers, 'upgrade', values.isUpgradeProtocol) !== undefined;
  if (upgrade) required(headers, 'sec-websocket-key', values.isWebSocketKey);
  else absent(headers, 'sec-websocket-key');
  return {
    txnToken: headers.has('txn-token'),
    contentDigest,
    contentType: contentDigest && optional(headers, 'content-type', values.isContentType) !== undefined,
    upgrade,
  };
}

function userOf(headers: Headers): UserClaims {
  return {
    userId: required(headers, 'x-user-id', values.isId),
    role: required(headers, 'x-user-role', values.isRole),
    tenantId: required(headers, 'x-tenant-id', values.isId),
  };
}

function txnTokenOf(headers: Headers): { txnToken?: string } {
  const txnToken = optional(headers, 'txn-token', values.isTxnToken);
  return txnToken === undefined ? {} : { txnToken };
}

function required(headers: Headers, name: string, allowed: (value: string) => boolean): string {
  const value = headers.get(name);
  if (value === undefined) throw new IdentityRefused('header_missing', name);
  if (!allowed(value)) throw new IdentityRefused('header_malformed', name);
  return value;
}

function optional(headers: Headers, name: string, allowed: (value: string) => boolean): string | undefined {
  return headers.has(name) ? required(headers, name, allowed) : undefined;
}

function absent(headers: Headers, name: string): void {
  if (headers.has(name)) throw new IdentityRefused('coverage_insufficient', name);
}
