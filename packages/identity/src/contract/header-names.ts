import { type HeaderRule, headerRules } from './contract.ts';

const reservedRules: readonly HeaderRule[] = headerRules.filter((rule) => rule.stripped);

/** Headers that only the gateway writes. It drops the client's own. */
export const contractHeaders: readonly string[] = reservedRules.map(({ name }) => name);
/** Every name with one of these prefixes is reserved, including names that the contract does not define. */
export const identityPrefixes: readonly string[] = [...new Set(reservedRules.flatMap(({ prefix }) => prefix ?? []))];

/**
 * Headers that services trust because a proxy sets them. The gateway removes the client's own, and those in a service's
 * answer. A `*` matches any suffix. A family that belongs to one product is reserved as a whole.
 */
export const proxyHeaders: Readonly<Record<string, readonly string[]>> = {
  "the client's address and host":
    'forwarded x-forwarded* x-real-ip true-client-ip x-client-ip x-cluster-client-ip cf-connecting-ip*'.split(' '),
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
  // RFC 9440, Apache, nginx, HAProxy, Traefik, IIS and AWS.
  "the client's certificate":
    'client-cert* x-client-cert* ssl-client-* x-ssl-* x-tls-* x-arr-clientcert x-amzn-mtls-*'.split(' '),
  // In order: CGI and Authelia, Kubernetes, Grafana, Kong and APISIX, authentik, Pomerium, Vouch, Tailscale, SiteMinder,
  // WebSEAL, Shibboleth, Teleport, oauth2-proxy, Keycloak Gatekeeper, Azure, AWS, Google and Cloudflare.
  'the user': (
    'remote-* x-remote-* impersonate-* x-webauth-* x-consumer-* x-credential-* x-anonymous-consumer x-authenticated-* ' +
    'x-authentik-* x-pomerium-* x-vouch-* tailscale-* sm-* iv-* shib-* teleport-* x-auth-request-* x-auth-user* ' +
    'x-auth-email x-auth-groups x-auth-roles x-auth-subject x-ms-client-principal* x-ms-token-* x-amzn-oidc-* ' +
    'x-goog-iap-* x-goog-authenticated-user-* x-apigateway-api-userinfo x-endpoint-api-userinfo cf-access-*'
  ).split(' '),
  // mod_auth_openidc, WSO2 and Istio, lua-resty-openidc and Caddy.
  "the user's token": ['oidc-*', 'x-jwt-*', 'x-id-token', 'x-access-token', 'x-token-*'],
  // A proxy reads the decision of this gateway from them.
  'a decision of this gateway': ['x-countersign-*'],
  // CGI programs use it as the proxy for their own requests (CVE-2016-5385).
  'a proxy to use': ['proxy'],
};

const proxyNames = Object.values(proxyHeaders).flat();
const proxyPattern = new RegExp(
  `^(?:${proxyNames.map((name) => (name.endsWith('*') ? name.slice(0, -1) : `${name}$`)).join('|')})`,
);

const contractNames: ReadonlySet<string> = new Set(contractHeaders);

/** Folds a name as CGI and WSGI do: `X_User.Id` becomes `x-user-id` (CVE-2025-64484, CVE-2026-39858). */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

/** Whether this folded name is an identity header. A service refuses it when the signature does not cover it. */
export function isIdentityHeader(foldedName: string): boolean {
  return contractNames.has(foldedName) || identityPrefixes.some((prefix) => foldedName.startsWith(prefix));
}

/** Whether the gateway drops a header of this folded name, from a client on every route, and from a service. */
export function isReservedHeader(foldedName: string): boolean {
  return isIdentityHeader(foldedName) || proxyPattern.test(foldedName);
}
