import { contractHeaders, proxyHeaders } from '@countersign/identity';
import { headersOfRequest, type ProxyPlan } from './plan.ts';

/** The headers that a decision sets on the response to the client. */
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
 * remove only exact names.
 */
const knownNames = [
  'x-forwarded-client-cert',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-forwarded-scheme',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-forwarded-groups',
  'x-forwarded-method',
  'x-forwarded-uri',
  'x-original-url',
  'x-original-uri',
  'x-original-host',
  'x-original-method',
  'x-rewrite-url',
  'x-middleware-subrequest',
  'client-cert',
  'client-cert-chain',
  'x-client-cert',
  'ssl-client-cert',
  'ssl-client-verify',
  'ssl-client-s-dn',
  'x-ssl-client-cert',
  'x-auth-request-user',
  'x-auth-request-email',
  'x-auth-request-groups',
  'x-ms-client-principal',
  'x-amzn-oidc-identity',
  'x-amzn-oidc-data',
  'x-goog-iap-jwt-assertion',
  'x-goog-authenticated-user-email',
  'cf-access-jwt-assertion',
  'cf-access-authenticated-user-email',
  'impersonate-user',
  'impersonate-group',
];

/**
 * The headers that the proxy removes from each request before it asks the gateway, so that services never see them.
 */
export function removedFromRequest({ strip }: Pick<ProxyPlan, 'strip'>): readonly string[] {
  const exact = Object.values(proxyHeaders)
    .flat()
    .filter((name) => !name.endsWith('*'));
  const kept = new Set(['x-forwarded-for', 'x-request-id', 'traceparent', 'authorization', 'dpop', 'cookie']);
  return [...new Set([...headersOfRequest, ...exact, ...knownNames, ...strip])].filter((name) => !kept.has(name));
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

/**
 * The headers that the proxy removes from each service response: the identity headers, and some similar names. A proxy
 * that can remove by prefix removes every name with an identity prefix.
 */
export const removedFromResponse = ({ cors }: Pick<ProxyPlan, 'cors'>): readonly string[] => [
  ...contractHeaders,
  ...['x-user-email', 'x-user-groups', 'x-user-name', 'x-user-roles', 'x-user', 'x-tenant', 'x-tenant-name'],
  ...(cors === undefined ? [] : corsHeaders),
];
