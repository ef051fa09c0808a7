import { type HeaderRule, headerRules } from './contract.ts';

const reservedRules: readonly HeaderRule[] = headerRules.filter((rule) => rule.stripped);

/** Headers that only the gateway writes. It drops the client's own. */
export const contractHeaders: readonly string[] = reservedRules.map(({ name }) => name);
/** Every name with one of these prefixes is reserved, including names that the contract does not define. */
export const identityPrefixes: readonly string[] = [...new Set(reservedRules.flatMap(({ prefix }) => prefix ?? []))];

/**
 * Headers that a proxy or framework behind the gateway may trust for the client's address, the target or the method.
 */
const frameworkTrustedPrefixes = ['x-forwarded', 'x-original', 'x-rewrite', 'x-middleware'];
const frameworkTrustedNames: ReadonlySet<string> = new Set([
  'forwarded',
  'x-real-ip',
  'true-client-ip',
  'x-client-ip',
  'remote-user',
  'x-remote-user',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'proxy',
]);

const contractNames: ReadonlySet<string> = new Set(contractHeaders);

/**
 * Folds a header name as CGI, WSGI and many frameworks do: `X_User.Id` becomes `x-user-id`
 * (CVE-2025-64484, CVE-2026-39858).
 */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

/**
 * Whether this folded name is an identity header. The gateway removes it from a service's response; a service refuses
 * it when the signature does not cover it.
 */
export function isIdentityHeader(foldedName: string): boolean {
  return contractNames.has(foldedName) || identityPrefixes.some((prefix) => foldedName.startsWith(prefix));
}

/** Whether the gateway drops a client's header of this folded name, on every route. */
export function isReservedHeader(foldedName: string): boolean {
  return (
    isIdentityHeader(foldedName) ||
    frameworkTrustedNames.has(foldedName) ||
    frameworkTrustedPrefixes.some((prefix) => foldedName.startsWith(prefix))
  );
}
