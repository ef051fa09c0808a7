import { type HeaderRule, headerRules } from './contract.ts';

const reservedRules: readonly HeaderRule[] = headerRules.filter((rule) => rule.stripped);

/** Headers that only the gateway writes. It drops the client's own. */
export const contractHeaders: readonly string[] = reservedRules.map(({ name }) => name);
/** Every name with one of these prefixes is reserved, including names that the contract does not define. */
export const identityPrefixes: readonly string[] = [...new Set(reservedRules.flatMap(({ prefix }) => prefix ?? []))];

/**
 * Headers that services trust because a proxy sets them. The gateway removes the client's own. A `*` matches any
 * suffix.
 */
export const proxyHeaders: Readonly<Record<string, readonly string[]>> = {
  "the client's address and host": [
    'forwarded',
    'x-forwarded*',
    'x-real-ip',
    'true-client-ip',
    'x-client-ip',
    'cf-connecting-ip',
  ],
  'the method and target': [
    'x-original*',
    'x-rewrite*',
    'x-middleware*',
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
    // gunicorn, and other servers of WSGI, take the path of the application and the rest of the path from them.
    'script-name',
    'path-info',
  ],
  "the client's certificate": ['client-cert*', 'x-client-cert*', 'ssl-client-*', 'x-ssl-client-*', 'x-arr-clientcert'],
  'the user': [
    'remote-user',
    'x-remote-user',
    'x-auth-request-*',
    'x-ms-client-principal*',
    'x-amzn-oidc-*',
    'x-goog-iap-*',
    'x-goog-authenticated-user-*',
    'cf-access-*',
    'impersonate-*',
  ],
  // CGI programs use it as the proxy for their own requests (CVE-2016-5385).
  'a proxy to use': ['proxy'],
};

const proxyNames = new Set(Object.values(proxyHeaders).flat());
const proxyPrefixes = [...proxyNames].filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));

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
    proxyNames.has(foldedName) ||
    proxyPrefixes.some((prefix) => foldedName.startsWith(prefix))
  );
}
