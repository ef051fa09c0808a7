import { contractHeaders, isReservedHeader, proxyHeaders } from '@countersign/identity';
import { headersOfCall } from './dialect.ts';
import { headersOfRequest, type ProxyPlan, type Service, servicesOf, tokenHeadersOf } from './plan.ts';

export const headersOfResponse = [
  'ratelimit',
  'ratelimit-policy',
  'dpop-nonce',
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
  'vary',
] as const;

/**
 * Headers that services are known to read, among those that the strip rule covers by prefix. A proxy may be able to
 * remove only exact names. The gateway refuses a request with any other name of the rule.
 */
const knownNames = [
  ...'x-forwarded-client-cert x-forwarded-port x-forwarded-prefix x-forwarded-server x-forwarded-ssl'.split(' '),
  ...'x-forwarded-scheme x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-method'.split(' '),
  ...'x-forwarded-uri x-original-url x-original-uri x-original-host x-original-method x-rewrite-url'.split(' '),
  ...'x-middleware-subrequest client-cert client-cert-chain x-client-cert ssl-client-cert ssl-client-verify'.split(' '),
  ...'ssl-client-s-dn x-ssl-client-cert x-auth-request-user x-auth-request-email x-auth-request-groups'.split(' '),
  ...'x-ms-client-principal x-amzn-oidc-identity x-amzn-oidc-data x-goog-iap-jwt-assertion'.split(' '),
  ...'x-goog-authenticated-user-email cf-access-jwt-assertion cf-access-authenticated-user-email'.split(' '),
  ...'impersonate-user impersonate-group remote-user remote-groups remote-email remote-name x-remote-user'.split(' '),
  ...'x-remote-group x-webauth-user x-webauth-email x-webauth-name x-webauth-role x-webauth-groups'.split(' '),
  ...'x-consumer-id x-consumer-username x-consumer-custom-id x-consumer-groups x-credential-identifier'.split(' '),
  ...'x-credential-username x-authenticated-user x-authenticated-userid x-authenticated-groups'.split(' '),
  ...'x-authenticated-scope x-authentik-username x-authentik-groups x-authentik-email x-authentik-name'.split(' '),
  ...'x-authentik-uid x-authentik-jwt x-pomerium-jwt-assertion x-pomerium-claim-email'.split(' '),
  ...'x-pomerium-claim-groups tailscale-user-login tailscale-user-name tailscale-user-profile-pic sm-user'.split(' '),
  ...'iv-user iv-groups x-auth-user x-auth-userid x-auth-username x-vouch-user x-ssl-cert'.split(' '),
  ...'x-ssl-client-verify x-ssl-client-s-dn x-tls-client-cert x-amzn-mtls-clientcert'.split(' '),
  ...'x-amzn-mtls-clientcert-subject x-jwt-assertion x-amzn-mtls-clientcert-serial-number'.split(' '),
  ...'x-amzn-mtls-clientcert-issuer x-amzn-mtls-clientcert-validity'.split(' '),
  // Load balancers before the proxy add these to every request.
  ...'x-amzn-mtls-clientcert-leaf cf-connecting-ipv6 remote-addr x-remote-addr x-remote-ip x-ssl-cipher'.split(' '),
  ...'x-ssl-protocol x-tls-version x-tls-cipher'.split(' '),
];

/** Like {@link proxyHeaders}, by exact name. */
const namesOfProxies = [
  ...Object.values(proxyHeaders)
    .flat()
    .filter((name) => !name.endsWith('*')),
  ...knownNames,
];

/** Removed from each request before the proxy asks the gateway, so that services never see them. */
export function removedFromRequest({ strip }: Pick<ProxyPlan, 'strip'>): readonly string[] {
  const kept = new Set(['x-forwarded-for', 'x-request-id', 'traceparent', 'authorization', 'dpop', 'cookie']);
  return [...new Set([...headersOfRequest, ...namesOfProxies, ...strip])].filter((name) => !kept.has(name));
}

/** The CORS headers, which only the gateway sets if it is configured to. */
const corsHeaders = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-expose-headers',
  'access-control-max-age',
];

/** Removed from the responses of services with tokens: an echoed token, and a challenge that is not the gateway's. */
export const hiddenWithToken = ['authorization', 'www-authenticate'];

/**
 * The headers that the proxy removes from each service response: the identity headers, some similar names, those of
 * other proxies, and those of a decision. A proxy that can remove by prefix removes every reserved name.
 */
export const removedFromResponse = (plan: Pick<ProxyPlan, 'cors' | 'routes'>, service?: Service): readonly string[] => [
  ...contractHeaders,
  ...['x-user-email', 'x-user-groups', 'x-user-name', 'x-user-roles', 'x-user', 'x-tenant', 'x-tenant-name'],
  ...namesOfProxies,
  ...[...headersOfCall, 'x-countersign-status', 'x-countersign-code'],
  ...(plan.cors === undefined ? [] : corsHeaders),
  ...tokenHeadersOf(servicesOf(plan)),
  ...(service?.identity.token === undefined ? [] : hiddenWithToken),
];

/** Leaves out the names that a proxy removes by the prefixes in `identityPrefixes` and `proxyHeaders`. */
export const withoutFamilies = (names: readonly string[]): readonly string[] =>
  names.filter((name) => contractHeaders.includes(name) || !isReservedHeader(name));
