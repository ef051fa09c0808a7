import type { Issuer } from '../../config/config.ts';

const variableValue = /^[A-Za-z0-9-]{1,64}$/;

function variableIn(iss: string, { issuer, template }: Issuer): string | undefined {
  if (template === undefined || template.value !== undefined) return undefined;
  const [before = '', after = ''] = issuer.split(`{${template.variable}}`);
  if (iss.length <= before.length + after.length || !iss.startsWith(before) || !iss.endsWith(after)) return undefined;
  const value = iss.slice(before.length, iss.length - after.length);
  return variableValue.test(value) ? value : undefined;
}

const isAny = ({ template }: Issuer): boolean => template !== undefined && template.value === undefined;

/**
 * Finds the issuer for an `iss`, compared byte by byte. A template accepts one segment of letters, digits and `-`, so
 * a token cannot supply a different host, path or query.
 */
export function findIssuer<Trusted extends Readonly<{ config: Issuer }>>(
  issuers: ReadonlyMap<string, Trusted>,
  iss: string,
): Trusted | undefined {
  const literal = issuers.get(iss);
  if (literal !== undefined) return isAny(literal.config) ? undefined : literal;
  // Any number of issuers may have a template, but few configurations have even one such issuer.
  for (const trusted of issuers.values()) {
    if (variableIn(iss, trusted.config) !== undefined) return trusted;
  }
  return undefined;
}

/** Returns the value that one token has for the variable in the issuer's template. */
export function variableOf(iss: string, issuer: Issuer): string | undefined {
  return issuer.template?.value ?? variableIn(iss, issuer);
}
