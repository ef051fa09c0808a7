export type KeyClass = 'policy' | 'trust' | 'services' | 'operations';

/**
 * Every key of gateway.yaml, by what it decides: who may do what; whom the gateway trusts; what services receive; and
 * how it runs. A key that ends with `.*` stands for everything inside. Those with `secret` in their name are not shown.
 */
export const keys: Readonly<Record<KeyClass, string>> = {
  policy: `
    issuers[].issuer issuers[].template.* issuers[].clients issuers[].claims.role.* issuers[].claims.tenantId.*
    issuers[].claims.scope issuers[].claims.client issuers[].tenantPrefix issuers[].machines.* issuers[].tenants
    issuers[].roles routes[].name routes[].path routes[].methods routes[].auth routes[].allow.*
    routes[].senderConstrained routes[].callers routes[].websocket routes[].routes cors.origins`,
  trust: `
    listen.public.* listen.admin.* listen.internal.* listen.decision.* listen.events.* listen.tls.* admin.console
    admin.allowedHosts decision.* publicOrigins trustedProxies insecureTransport issuers[].provider issuers[].audience
    issuers[].jwks issuers[].discovery issuers[].algorithms issuers[].types issuers[].require issuers[].claims.userId
    issuers[].claims.sessionId issuers[].subjectEncoding issuers[].userPrefix issuers[].sameSubjects
    issuers[].maxTokenLifetime issuers[].revocations.* issuers[].events.* issuers[].introspection.* dpop.* services.*
    upstreams.NAME.targets upstreams.NAME.paths upstreams.NAME.tls.* routes[].upstream routes[].forward.cookies
    routes[].forward.authorization routes[].forward.dpop routes[].longLived routes[].body.unsigned cors.credentials
    cors.headers cors.expose`,
  services: `
    scopes identity.lifetime identity.name identity.issuer upstreams.NAME.identity.* upstreams.NAME.txnToken
    routes[].body.mode routes[].rewrite.* headers.strip headers.security`,
  operations: `
    version redis instances journal issuers[].name identity.keys identity.keyFiles upstreams.NAME.timeouts.*
    upstreams.NAME.minRate upstreams.NAME.balance upstreams.NAME.health.* upstreams.NAME.retry.*
    upstreams.NAME.breaker.* httpClient routes[].limits.* routes[].body.maxBytes cors.maxAge websockets.* uploads.*
    errors.* telemetry.* tests.*`,
};

/** The keys without their final `.*`, and the class of each. */
export const keyClasses: ReadonlyMap<string, KeyClass> = new Map(
  (Object.keys(keys) as KeyClass[]).flatMap((name) =>
    Array.from(keys[name].matchAll(/([^ \n]+?)(?:\.\*)?(?=[ \n]|$)/g), ([, key = '']) => [key, name] as const),
  ),
);
