import { stringify } from 'yaml';
import { headersOfCall } from './dialect.ts';
import { hiddenWithToken, removedFromRequest, removedFromResponse } from './headers.ts';
import type { Printed, ProxyPlan, Service } from './plan.ts';
import * as plans from './plan.ts';

/** Writes Traefik's static configuration, and a file provider with middlewares, routers and services. */
export function printTraefik(plan: ProxyPlan): Printed {
  const traefik = `# Written by \`countersign integrate traefik\` from gateway.yaml. Run it in this directory: traefik --configFile=traefik.yaml
# Needs Traefik 3.6 or later. In older versions, a client could name a signed header in Connection (CVE-2024-45410).
${stringify({
  entryPoints: {
    web: { address: plan.listen, forwardedHeaders: { insecure: false }, http: { sanitizePath: false } },
  },
  providers: { file: { filename: 'dynamic.yaml' } },
})}`;
  const all = plans.servicesOf(plan);
  const dynamic = `# Written by \`countersign integrate traefik\` from gateway.yaml.
${stringify(
  {
    http: {
      middlewares: {
        'countersign-clean': clean(plan),
        'countersign-untraced': untraced,
        countersign: forwardAuth(plan),
        'countersign-token': withToken,
        ...rewrites(plan),
      },
      routers: { 'countersign-public': publicRouter, ...routers(plan) },
      services: { 'countersign-public': servers([plans.urlOf(plan.public)]), ...services(all) },
      serversTransports: Object.fromEntries(all.map((service) => [service.name, transport(service)])),
    },
  },
  { lineWidth: 0 },
)}`;
  return { 'traefik.yaml': { text: traefik, mode: 0o644 }, 'dynamic.yaml': { text: dynamic, mode: 0o644 } };
}

/** An empty value removes the header. The gateway refuses other spellings. */
const clean = (plan: ProxyPlan) => ({
  headers: {
    customRequestHeaders: Object.fromEntries([...headersOfCall, ...removedFromRequest(plan)].map((name) => [name, ''])),
    customResponseHeaders: Object.fromEntries(removedFromResponse(plan).map((name) => [name, ''])),
    // Traefik passes no decision headers on to the client, so it sets the CORS headers itself.
    ...(plan.cors && {
      accessControlAllowOriginList: plan.cors.origins,
      accessControlAllowCredentials: plan.cors.credentials,
      accessControlExposeHeaders: plan.cors.exposed.split(', '),
      addVaryHeader: true,
    }),
  },
});

function forwardAuth(plan: ProxyPlan) {
  const { decision } = plan;
  if ('socket' in decision) throw new RangeError('Traefik cannot connect to a Unix socket');
  return {
    forwardAuth: {
      address: `${plans.urlOf(decision)}${plans.decidePath}`,
      // Traefik then writes its own peer's address instead of the client's header.
      trustForwardHeader: false,
      forwardBody: true,
      maxBodySize: plans.maxDigested(plan),
      preserveLocationHeader: true,
      // Traefik removes each of these headers from the request, and sets it if the decision has it.
      authResponseHeaders: plans.setOnRequest(plan),
      ...(decision.isTls && { tls: plans.proxyFiles }),
    },
  };
}

const rewriteName = (name: string): string => `countersign-rewrite-${name}`;

const rewrites = ({ routes }: ProxyPlan) =>
  Object.fromEntries(
    routes.flatMap(({ name, rewrite }) =>
      rewrite === undefined
        ? []
        : [
            [
              rewriteName(name),
              {
                replacePathRegex: {
                  regex: `^${rewrite.from === '/' ? '' : rewrite.from}(/.*)?$`,
                  replacement: `${rewrite.to === '/' ? '' : rewrite.to}$1`,
                },
              },
            ],
          ],
    ),
  );

const withToken = { headers: { customResponseHeaders: Object.fromEntries(hiddenWithToken.map((name) => [name, ''])) } };

/** The gateway would continue the client's trace if it trusts the proxy. */
const untraced = { headers: { customRequestHeaders: { traceparent: '' } } };

/** Preflight and OAuth metadata requests carry no identity. The gateway's public listener answers them. */
const publicRouter = {
  entryPoints: ['web'],
  rule: 'PathPrefix(`/.well-known/oauth-protected-resource`) || (Method(`OPTIONS`) && HeaderRegexp(`Access-Control-Request-Method`, `.`))',
  priority: 1_000_000,
  middlewares: ['countersign-untraced'],
  service: 'countersign-public',
};

function routers(plan: ProxyPlan) {
  const all = plans.orderedRoutes(plan);
  return Object.fromEntries(
    all.map(({ route: { name, upstream, rewrite }, pattern, methods }, at) => [
      name,
      {
        entryPoints: ['web'],
        rule: `PathRegexp(\`${pattern}\`)${methods === undefined ? '' : ` && (${methods.map((method) => `Method(\`${method}\`)`).join(' || ')})`}`,
        priority: all.length - at,
        // The rewrite comes last, because the client's DPoP proof names the original target.
        middlewares: [
          'countersign-clean',
          'countersign',
          ...(upstream.identity.token === undefined ? [] : ['countersign-token']),
          ...(rewrite === undefined ? [] : [rewriteName(name)]),
        ],
        service: upstream.name,
      },
    ]),
  );
}

const servers = (urls: readonly string[]) => ({ loadBalancer: { servers: urls.map((url) => ({ url })) } });

const services = (all: readonly Service[]) =>
  Object.fromEntries(
    all.map(({ name, targets }) => [
      name,
      { loadBalancer: { ...servers(targets).loadBalancer, passHostHeader: false, serversTransport: name } },
    ]),
  );

const transport = ({ timeouts, tls }: Service) => ({
  forwardingTimeouts: { dialTimeout: `${timeouts.connectMs}ms`, responseHeaderTimeout: `${timeouts.responseMs}ms` },
  ...(tls?.serverName !== undefined && { serverName: tls.serverName }),
  ...(tls?.caFile !== undefined && { rootCAs: [tls.caFile] }),
  ...(tls?.certFile !== undefined && { certificates: [{ certFile: tls.certFile, keyFile: tls.keyFile }] }),
});
