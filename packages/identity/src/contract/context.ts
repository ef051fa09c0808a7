import { type DictionaryValue, type ParameterizedString, parseDictionary } from './dictionary.ts';
import {
  id,
  isAddress,
  isAuthMethod,
  isIssuer,
  isScope,
  isSubject,
  isThumbprint,
  isUnixSeconds,
  maxContextLength,
  role,
} from './grammar.ts';
import type { Actor, IdentityContext } from './identity.ts';

const maxAuthMethods = 16;
const maxNames = 64;
/** `ip="`, the longest text of an IPv6 address (45 characters), `", `. */
const maxAddressLength = 52;

const isAuthMethods = (value: readonly string[]) =>
  value.length >= 1 && value.length <= maxAuthMethods && value.every(isAuthMethod);
const areNames = (value: readonly string[], isName: (name: string) => boolean) =>
  value.length >= 1 && value.length <= maxNames && new Set(value).size === value.length && value.every(isName);
const isScopes = (value: readonly string[]) => areNames(value, isScope);
const isRoles = (value: readonly string[]) => areNames(value, role.matches);
const isActor = ({ sub, iss }: Actor) => isSubject(sub) && isIssuer(iss);

/** The context of this caller does not fit into `x-identity-context`. */
export class ContextTooLong extends RangeError {
  override readonly name = 'ContextTooLong';
}

/**
 * Serializes `x-identity-context` without `ip`. The rest is the same for every request of one token, so callers can
 * cache it. An empty list is left out.
 *
 * @throws RangeError on a value outside the contract. ContextTooLong if the result and the longest address are longer
 *   than 2,048 characters together: whether a token is accepted must not depend on the client's address.
 */
export function serializeContext(context: Omit<IdentityContext, 'ip'>): string {
  const { iss, sid, authTime, amr, jkt, client, scope, roles, act } = context;
  const members: string[] = [];
  if (iss !== undefined) members.push(`iss="${requireValid('iss', iss, isIssuer)}"`);
  if (sid !== undefined) members.push(`sid="${requireValid('sid', sid, id.matches)}"`);
  if (authTime !== undefined) members.push(`auth-time=${requireValid('auth-time', authTime, isUnixSeconds)}`);
  if (amr !== undefined && amr.length > 0) members.push(`amr=${innerList(requireValid('amr', amr, isAuthMethods))}`);
  if (jkt !== undefined) members.push(`jkt="${requireValid('jkt', jkt, isThumbprint)}"`);
  if (client !== undefined) members.push(`client="${requireValid('client', client, id.matches)}"`);
  if (scope !== undefined && scope.length > 0)
    members.push(`scope=${innerList(requireValid('scope', scope, isScopes))}`);
  if (roles !== undefined && roles.length > 0)
    members.push(`roles=${innerList(requireValid('roles', roles, isRoles))}`);
  if (act !== undefined) {
    const { sub, iss } = requireValid('act', act, isActor);
    members.push(`act="${sub}";iss="${iss}"`);
  }
  const text = members.join(', ');
  if (text.length > maxContextLength - maxAddressLength) throw new ContextTooLong('x-identity-context is too long');
  return text;
}

const innerList = (items: readonly string[]) => `(${items.map((item) => `"${item}"`).join(' ')})`;

/** @returns undefined for an unknown or repeated member, or a value of the wrong type or grammar. */
export function parseContext(value: string): IdentityContext | undefined {
  // RFC 9651 allows tabs around a comma. The contract does not allow them anywhere.
  if (value.includes('\t')) return undefined;
  const members = parseDictionary(value);
  const context: Draft = {};
  for (const [key, member] of members ?? []) {
    if (!setMember(context, key, member)) return undefined;
  }
  return members && context;
}

type Draft = { -readonly [K in keyof IdentityContext]: IdentityContext[K] };

function setMember(context: Draft, key: string, value: DictionaryValue): boolean {
  if (typeof value === 'string') return setString(context, key, value);
  if (typeof value === 'number') {
    if (key !== 'auth-time' || !isUnixSeconds(value)) return false;
    context.authTime = value;
    return true;
  }
  return 'parameter' in value ? setActor(context, key, value) : setList(context, key, value);
}

function setString(context: Draft, key: string, value: string): boolean {
  if (key === 'ip' && isAddress(value)) context.ip = value;
  else if (key === 'iss' && isIssuer(value)) context.iss = value;
  else if (key === 'sid' && id.matches(value)) context.sid = value;
  else if (key === 'jkt' && isThumbprint(value)) context.jkt = value;
  else if (key === 'client' && id.matches(value)) context.client = value;
  else return false;
  return true;
}

function setList(context: Draft, key: string, value: readonly string[]): boolean {
  if (key === 'amr' && isAuthMethods(value)) context.amr = value;
  else if (key === 'scope' && isScopes(value)) context.scope = value;
  else if (key === 'roles' && isRoles(value)) context.roles = value;
  else return false;
  return true;
}

function setActor(context: Draft, key: string, { text, parameter, value }: ParameterizedString): boolean {
  const act = { sub: text, iss: value };
  if (key !== 'act' || parameter !== 'iss' || !isActor(act)) return false;
  context.act = act;
  return true;
}

function requireValid<T>(member: string, value: T, allowed: (value: T) => boolean): T {
  if (!allowed(value)) throw new RangeError(`${member} is outside the identity contract`);
  return value;
}
