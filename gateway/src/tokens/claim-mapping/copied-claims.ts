import type { Payload } from './claim-path.ts';

/** A claim that a service receives as it is, or `unfit` if the token has it in a form that is not copied. */
export type CopiedClaim = Readonly<{ value: string | number | boolean | readonly string[] }> | 'unfit';

const maxBytes = 256;
// Control characters, and those that change the direction of text (Unicode, Bidi_Control).
const harmful = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** Reads the claims that some upstream's `identity.token.claims` names. */
export function copiedClaims(payload: Payload, names: readonly string[]): ReadonlyMap<string, CopiedClaim> {
  const present = names.filter((name) => Object.hasOwn(payload, name));
  return new Map(present.map((name) => [name, isFit(name, payload) ? { value: payload[name] as string } : 'unfit']));
}

function isFit(name: string, payload: Payload): boolean {
  // Some providers let people set any address, and say whether they have verified it.
  if (name === 'email' && (!Object.hasOwn(payload, 'email_verified') || payload.email_verified !== true)) return false;
  const value = payload[name];
  const fits = (item: unknown): boolean =>
    typeof item === 'string'
      ? !harmful.test(item) && item.isWellFormed()
      : !Array.isArray(value) && (typeof item === 'boolean' || Number.isFinite(item));
  return [value].flat().every(fits) && Buffer.byteLength(JSON.stringify(value)) <= maxBytes;
}
