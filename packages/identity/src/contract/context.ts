import { type DictionaryValue, parseDictionary } from './dictionary.ts';
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

/** `ip="`, the longest text of an IPv6 address (45 characters), `", `. */
const maxAddressLength = 52;

type Fits = (value: unknown) => boolean;

const isText =
  (fits: (text: string) => boolean): Fits =>
  (value) =>
    typeof value === 'string' && fits(value);
const isList =
  (most: number, fits: (item: string) => boolean): Fits =>
  (value) =>
    Array.isArray(value) && value.length >= 1 && value.length <= most && value.every(isText(fits));
const isSet = (fits: (item: string) => boolean): Fits => {
  const isListed = isList(64, fits);
  return (value) => isListed(value) && new Set(value as string[]).size === (value as string[]).length;
};
const isActor: Fits = (value) => {
  const { sub, iss } = Object(value);
  return isText(isSubject)(sub) && isText(isIssuer)(iss);
};

/** The members that do not depend on the request, in the order in which they are written. */
const written: readonly (readonly [name: string, key: keyof IdentityContext, fits: Fits])[] = [
  ['iss', 'iss', isText(isIssuer)],
  ['sid', 'sid', isText(id.matches)],
  ['auth-time', 'authTime', isUnixSeconds],
  ['amr', 'amr', isList(16, isAuthMethod)],
  ['jkt', 'jkt', isText(isThumbprint)],
  ['client', 'client', isText(id.matches)],
  ['scope', 'scope', isSet(isScope)],
  ['roles', 'roles', isSet(role.matches)],
  ['act', 'act', isActor],
];
const members = new Map([['ip', 'ip', isText(isAddress)] as const, ...written].map((one) => [one[0], one]));

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
  const facts: IdentityContext = context;
  const present = written.flatMap(([name, key, fits]) => {
    const value = facts[key];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return [];
    if (!fits(value)) throw new RangeError(`${name} is outside the identity contract`);
    return [`${name}=${serialize(value)}`];
  });
  const text = present.join(', ');
  if (text.length > maxContextLength - maxAddressLength) throw new ContextTooLong('x-identity-context is too long');
  return text;
}

function serialize(value: string | number | readonly string[] | Actor): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `"${value}"`;
  return 'sub' in value ? `"${value.sub}";iss="${value.iss}"` : `(${value.map(serialize).join(' ')})`;
}

/** @returns undefined for an unknown or repeated member, or a value of the wrong type or grammar. */
export function parseContext(text: string): IdentityContext | undefined {
  // RFC 9651 allows tabs around a comma. The contract does not allow them anywhere.
  const given = text.includes('\t') ? undefined : parseDictionary(text);
  return given && readContext(Array.from(given, ([name, value]) => [name, plain(value)]));
}

function plain(value: DictionaryValue): unknown {
  return typeof value === 'object' && 'text' in value ? { sub: value.text, [value.parameter]: value.value } : value;
}

/**
 * Reads the members of a context, by their names in `x-identity-context`.
 *
 * @returns undefined for an unknown member, or a value of the wrong type or grammar.
 */
export function readContext(given: Iterable<readonly [name: string, value: unknown]>): IdentityContext | undefined {
  const context: Record<string, unknown> = {};
  for (const [name, value] of given) {
    const member = members.get(name);
    if (!member?.[2](value)) return undefined;
    context[member[1]] = value;
  }
  return context;
}
