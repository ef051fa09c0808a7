import { AppError, type Code } from '../../errors.ts';
import { visibleText } from '../dpop-proof.ts';

/**
 * A problem with a token. The texts are for operators. They contain claims and their values, but never a signature.
 */
export type Finding = Readonly<{
  code: Code;
  claim: string;
  wanted: string;
  found: string;
  /** What to change in the configuration or at the provider. */
  fix: string;
}>;

export const finding = (code: Code, claim: string, wanted: string, found: string, fix: string): Finding => ({
  code,
  claim,
  wanted,
  found,
  fix,
});

/**
 * Creates the refusal for a finding. Only the log shows `detail`.
 *
 * @param issuer A configured issuer.
 * @param subject The `sub` in a token with a valid signature.
 */
export function refusalFor({ code, claim, wanted, found }: Finding, issuer?: string, subject?: unknown): AppError {
  const source = {
    ...(issuer !== undefined && { issuer }),
    ...(typeof subject === 'string' && visibleText.test(subject) && { subject }),
  };
  return new AppError(code, { detail: { claim, wanted, found, ...source } });
}

/** Long enough for an issuer that contains a realm name. */
const maxText = 200;
const maxItems = 8;

/**
 * Describes a token's value briefly, safe for a terminal and limited in length. Escapes non-ASCII characters, because
 * look-alike letters could make two different values look equal.
 */
export function described(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) {
    const items = value.slice(0, maxItems).map((item) => (typeof item === 'object' ? '…' : described(item)));
    return `[${items.join(', ')}${value.length > maxItems ? `, and ${value.length - maxItems} more` : ''}]`;
  }
  if (typeof value !== 'object' || value === null) return String(value);
  const names = Object.keys(value);
  const shown = names.slice(0, maxItems).map((name) => quoted(name));
  return names.length === 0
    ? 'an empty object'
    : `an object with ${shown.join(', ')}${names.length > maxItems ? ', …' : ''}`;
}

function quoted(text: string): string {
  const shown = JSON.stringify(text.slice(0, maxText)).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.length > maxText ? `${shown.slice(0, -1)}…"` : shown;
}

export function oneOfThese(values: Iterable<unknown>): string {
  const all = [...values];
  const shown = all.slice(0, maxItems).map(described);
  if (all.length > maxItems) shown.push(`${all.length - maxItems} more`);
  return all.length === 1 ? (shown[0] ?? '') : `one of ${shown.join(', ')}`;
}
