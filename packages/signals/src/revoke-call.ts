import { createHash } from 'node:crypto';
import { type End, timeOfEnd } from './end.ts';
import {
  type DeliveryOptions,
  malformed,
  type NamedTenants,
  parseEventBody,
  parseTime,
  readId,
  readPlainId,
} from './event-body.ts';
import { isObject, type Json } from './signed-token.ts';

/** A call that ends a session, or the older tokens of a user or a member. */
export type RevokeCall = Readonly<{
  id: string;
  end: End;
  /** A digest of the body's values. A repeated id must have the same. */
  content: string;
}>;

const members: ReadonlySet<string> = new Set(['id', 'session', 'user', 'member', 'at', 'reason']);

/**
 * Reads the body of a revoke call: `{"id", "session"|"user"|"member", "at"?, "reason"?}`.
 *
 * @throws EventTokenError `invalid_request`
 */
export function readRevokeCall(body: Uint8Array, options: DeliveryOptions): RevokeCall {
  const call = parseEventBody(body);
  const unknown = Object.keys(call).find((name) => !members.has(name));
  if (unknown !== undefined) throw malformed('a member is unknown');
  const { id, at, reason } = call;
  if (typeof id !== 'string' || !/^[!-~]{1,128}$/.test(id)) throw malformed('id must be 1 to 128 visible characters');
  if (reason !== undefined && (typeof reason !== 'string' || !/^[ -~]{1,128}$/.test(reason)))
    throw malformed('reason must be 1 to 128 printable characters');
  const { nowMs, toleranceMs, issuer } = options;
  const eventMs = typeof at === 'string' ? parseTime(at) : undefined;
  if (at !== undefined && eventMs === undefined) throw malformed('at is not a time of RFC 3339');
  if (eventMs !== undefined && eventMs > nowMs + toleranceMs) throw malformed('at is in the future');
  const { notBeforeMs } = timeOfEnd({ ...options, eventMs, issuedAtMs: nowMs });
  const subject = subjectOf(call, options.tenants);
  const event = reason === undefined ? 'revoked' : `revoked (${reason})`;
  const content = createHash('sha256')
    .update(JSON.stringify([subject, at, reason]))
    .digest('base64url')
    .slice(0, 22);
  return { id, end: { ...subject, issuer, notBeforeMs, event }, content };
}

function subjectOf(call: Json, tenants: NamedTenants) {
  const given = ['session', 'user', 'member'].filter((name) => call[name] !== undefined);
  if (given.length !== 1) throw malformed('exactly one of session, user and member is required');
  const sessionId = readPlainId(call.session);
  if (sessionId !== undefined) return { kind: 'session', sessionId } as const;
  const member = isObject(call.member) ? call.member : undefined;
  const userId = readId(call.user ?? member?.user);
  if (userId === undefined) throw malformed('the session, user or member is null');
  if (call.member === undefined) return { kind: 'user', userId } as const;
  const tenantId = readPlainId(member?.tenant);
  if (tenantId === undefined || Object.keys(member ?? {}).length !== 2)
    throw malformed('member must be {"tenant", "user"}');
  if (!isNamed(tenantId, tenants)) throw malformed("the tenant is not one of the issuer's");
  return { kind: 'member', tenantId, userId } as const;
}

export const isNamed = (tenantId: string, tenants: NamedTenants): boolean =>
  tenants === 'any' || (tenants !== 'none' && tenants.has(tenantId));
