/** A scope-token of RFC 6749 section 3.3, as the identity contract bounds it. Scopes are compared byte by byte. */
export const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;

/**
 * Chooses the scopes of a token: those asked for, or all allowed ones when the request names none.
 *
 * @param asked The `scope` parameter: scope-tokens with one space between.
 * @returns undefined when the parameter is malformed or names a scope that is not allowed.
 */
export function chooseScopes(asked: string | undefined, allowed: readonly string[]): readonly string[] | undefined {
  if (asked === undefined) return allowed;
  const names = [...new Set(asked.split(' '))];
  return names.every((name) => allowed.includes(name)) ? names : undefined;
}
