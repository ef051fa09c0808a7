import { type HeaderRule, headerRules } from './contract.ts';

const reservedRules: readonly HeaderRule[] = headerRules.filter((rule) => rule.stripped);

/** The headers that only the gateway writes, whatever the client sent. */
export const contractHeaders: readonly string[] = reservedRules.map(({ name }) => name);
/** Names that begin like this are reserved for identities, known to the contract or not. */
export const identityPrefixes: readonly string[] = [...new Set(reservedRules.flatMap(({ prefix }) => prefix ?? []))];

/** Headers that a proxy or a framework behind the gateway may believe about the client, its target or its method. */
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
 * The name under which CGI, WSGI and many frameworks would read a header: `X_User.Id` becomes `x-user-id`
 * (CVE-2025-64484, CVE-2026-39858).
 */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

/** Whether this folded name carries identity: removed from a service's response, refused by a service when it is not covered. */
export function isIdentityHeader(foldedName: string): boolean {
  return contractNames.has(foldedName) || identityPrefixes.some((prefix) => foldedName.startsWith(prefix));
}

/** Whether the gateway drops an inbound header of this folded name, on every route. */
export function isReservedHeader(foldedName: string): boolean {
  return (
    isIdentityHeader(foldedName) ||
    frameworkTrustedNames.has(foldedName) ||
    frameworkTrustedPrefixes.some((prefix) => foldedName.startsWith(prefix))
  );
}
