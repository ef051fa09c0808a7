import { parseContext } from '../contract/context.ts';
import { type CoveredMask, coveredRules, presenceOf } from '../contract/contract.ts';
import type { ClientClaims, Identity, IdentityKind, UserClaims } from '../contract/identity.ts';
import { IdentityRefused } from '../contract/refusal.ts';

/** The identity that the headers state. It is not trustworthy until the signature has been verified. */
export type UnverifiedIdentity = Readonly<{ identity: Identity; audience: string; covered: CoveredMask }>;

type Headers = ReadonlyMap<string, string>;

/**
 * Checks every header against its row of the table, and derives which components the signature must cover.
 *
 * @throws IdentityRefused `header_missing`, `header_malformed` or `coverage_insufficient`.
 */
export function parseIdentityHeaders(headers: Headers): UnverifiedIdentity {
  const kind = kindOf(headers);
  const has = (name: string) => headers.has(name);
  let covered = 0;
  coveredRules.forEach((rule, index) => {
    const presence = presenceOf(rule, kind, has);
    const value = headers.get(rule.name);
    if (presence === 'ignored') return;
    if (value === undefined) {
      if (presence === 'required') throw new IdentityRefused('header_missing', rule.name);
      return;
    }
    if (presence === 'forbidden') throw new IdentityRefused('coverage_insufficient', rule.name);
    if (!rule.grammar.matches(value)) throw new IdentityRefused('header_malformed', rule.name);
    covered |= 1 << index;
  });
  return { identity: buildIdentity(kind, headers), audience: textOf(headers, 'x-identity-audience'), covered };
}

const kinds: readonly IdentityKind[] = ['user', 'client', 'anonymous', 'service', 'gateway'];

function kindOf(headers: Headers): IdentityKind {
  const value = headers.get('x-identity');
  if (value === undefined) throw new IdentityRefused('header_missing', 'x-identity');
  const kind = kinds.find((known) => known === value);
  if (kind === undefined) throw new IdentityRefused('header_malformed', 'x-identity');
  return kind;
}

/** @param headers Headers whose values have already been checked against their grammars. */
function buildIdentity(kind: IdentityKind, headers: Headers): Identity {
  const context = parseContext(textOf(headers, 'x-identity-context'));
  if (context === undefined) throw new IdentityRefused('header_malformed', 'x-identity-context');
  const common = { requestId: textOf(headers, 'x-request-id'), context };
  if (kind === 'anonymous' || kind === 'gateway') return { kind, ...common };
  const txnToken = headers.get('txn-token');
  const withToken = txnToken === undefined ? common : { ...common, txnToken };
  if (kind === 'user') return { kind, ...withToken, ...userOf(headers) };
  if (kind === 'client') return { kind, ...withToken, ...clientOf(headers) };
  const serviceId = textOf(headers, 'x-service-id');
  if (headers.has('x-client-id')) return { kind, ...withToken, serviceId, client: clientOf(headers) };
  return { kind, ...withToken, serviceId, ...(headers.has('x-user-id') && { user: userOf(headers) }) };
}

function userOf(headers: Headers): UserClaims {
  return {
    userId: textOf(headers, 'x-user-id'),
    role: textOf(headers, 'x-user-role'),
    tenantId: textOf(headers, 'x-tenant-id'),
  };
}

function clientOf(headers: Headers): ClientClaims {
  const [role, tenantId] = [headers.get('x-user-role'), headers.get('x-tenant-id')];
  return {
    clientId: textOf(headers, 'x-client-id'),
    ...(role !== undefined && { role }),
    ...(tenantId !== undefined && { tenantId }),
  };
}

const textOf = (headers: Headers, name: string) => headers.get(name) ?? '';
