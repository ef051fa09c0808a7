import { type DictionaryValue, parseDictionary } from './dictionary.ts';
import { id, isAddress, isAuthMethod, isIssuer, isThumbprint, isUnixSeconds } from './grammar.ts';
import type { IdentityContext } from './identity.ts';

const maxAuthMethods = 16;

const isAuthMethods = (value: readonly string[]) =>
  value.length >= 1 && value.length <= maxAuthMethods && value.every(isAuthMethod);

/**
 * Serializes `x-identity-context` without `ip`. The rest is the same for every request of one token, so callers can
 * cache it.
 *
 * @throws RangeError on a value outside the contract.
 */
export function serializeContext(context: Omit<IdentityContext, 'ip'>): string {
  const { iss, sid, authTime, amr, jkt } = context;
  const members: string[] = [];
  if (iss !== undefined) members.push(`iss="${requireValid('iss', iss, isIssuer)}"`);
  if (sid !== undefined) members.push(`sid="${requireValid('sid', sid, id.matches)}"`);
  if (authTime !== undefined) members.push(`auth-time=${requireValid('auth-time', authTime, isUnixSeconds)}`);
  if (amr !== undefined && amr.length > 0) {
    members.push(
      `amr=(${requireValid('amr', amr, isAuthMethods)
        .map((method) => `"${method}"`)
        .join(' ')})`,
    );
  }
  if (jkt !== undefined) members.push(`jkt="${requireValid('jkt', jkt, isThumbprint)}"`);
  return members.join(', ');
}

/**
 * Prepends the client's address to the result of {@link serializeContext}.
 *
 * @throws RangeError on a malformed address.
 */
export function contextWithAddress(ip: string | undefined, rest: string): string {
  if (ip === undefined) return rest;
  return rest === ''
    ? `ip="${requireValid('ip', ip, isAddress)}"`
    : `ip="${requireValid('ip', ip, isAddress)}", ${rest}`;
}

/**
 * Parses `x-identity-context`.
 *
 * @returns undefined for an unknown member, a repeated member, or a value of the wrong type or grammar.
 */
export function parseContext(value: string): IdentityContext | undefined {
  // RFC 9651 allows tabs around a comma. The contract does not allow them anywhere.
  if (value.includes('\t')) return undefined;
  const members = parseDictionary(value);
  if (members === undefined) return undefined;
  const context: { -readonly [K in keyof IdentityContext]: IdentityContext[K] } = {};
  for (const [key, member] of members) if (!setMember(context, key, member)) return undefined;
  return context;
}

function setMember(
  context: { -readonly [K in keyof IdentityContext]: IdentityContext[K] },
  key: string,
  value: DictionaryValue,
): boolean {
  if (typeof value === 'number') {
    if (key !== 'auth-time' || !isUnixSeconds(value)) return false;
    context.authTime = value;
  } else if (typeof value !== 'string') {
    if (key !== 'amr' || !isAuthMethods(value)) return false;
    context.amr = value;
  } else if (key === 'ip' && isAddress(value)) context.ip = value;
  else if (key === 'iss' && isIssuer(value)) context.iss = value;
  else if (key === 'sid' && id.matches(value)) context.sid = value;
  else if (key === 'jkt' && isThumbprint(value)) context.jkt = value;
  else return false;
  return true;
}

function requireValid<T>(member: string, value: T, allowed: (value: T) => boolean): T {
  if (!allowed(value)) throw new RangeError(`${member} is outside the identity contract`);
  return value;
}
