/** The headers of the identity contract; all of them are written by the gateway, whatever the client sent. */
export const contractHeaders = [
  'x-request-id',
  'x-identity',
  'x-identity-audience',
  'x-identity-context',
  'x-user-id',
  'x-user-role',
  'x-tenant-id',
  'x-service-id',
  'txn-token',
  'content-digest',
  'signature-input',
  'signature',
] as const;

const identityPrefixes = ['x-identity', 'x-user', 'x-tenant', 'x-service'];
/** What a proxy or a framework behind us might take for the truth about the client, its target or its method. */
const trustedByOthersPrefixes = ['x-forwarded', 'x-original', 'x-rewrite', 'x-middleware'];
const trustedByOthers = [
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
];

const contract: ReadonlySet<string> = new Set(contractHeaders);
const reserved: ReadonlySet<string> = new Set([...contractHeaders, ...trustedByOthers]);

/**
 * The name under which CGI, WSGI and many frameworks would read a header: `X_User.Id` becomes `x-user-id`
 * (CVE-2025-64484, CVE-2026-39858).
 */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

/** Whether this (folded) name says who somebody is: stripped from a service's answer, never accepted uncovered by a service. */
export function isIdentityHeader(foldedName: string): boolean {
  return contract.has(foldedName) || identityPrefixes.some((prefix) => foldedName.startsWith(prefix));
}

/** Whether an inbound header of this (folded) name is dropped at the edge, on every route. */
export function isReservedHeader(foldedName: string): boolean {
  return (
    reserved.has(foldedName) ||
    identityPrefixes.some((prefix) => foldedName.startsWith(prefix)) ||
    trustedByOthersPrefixes.some((prefix) => foldedName.startsWith(prefix))
  );
}
