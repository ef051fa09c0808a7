import { contractHeaders } from '@countersign/identity';
import { stringify } from 'yaml';
import type { GatewayConfig, Upstream } from '../config/config.ts';
import { isSocket } from '../config/schema/decision.ts';
import { headersOfRequest } from '../decision/dialect.ts';
import { headersOfCall, removedFromRequest } from './headers.ts';
import { orderedRoutes } from './ordered-routes.ts';
import type { Printed } from './printed.ts';

/** Writes Traefik's static file, and a file provider with the middlewares, routers and services. */
export function printTraefik(config: GatewayConfig, listen: string): Printed {
  const traefik = `# Written by \`countersign integrate traefik\` from gateway.yaml. Run it in this directory: traefik --configFile=traefik.yaml
# Needs Traefik 3.6 or later: before it, a client could name a signed header in Connection (CVE-2024-45410).
${stringify({
  entryPoints: {
    web: { address: listen, forwardedHeaders: { insecure: false }, http: { sanitizePath: false } },
  },
  providers: { file: { filename: 'dynamic.yaml' } },
})}`;
  const upstreams = [...new Set(orderedRoutes(config).map(({ route }) => route.upstream))];
  const dynamic = `# Written by \`countersign integrate traefik\` from gateway.yaml.
${stringify(
  {
    http: {
      middlewares: { 'countersign-clean': clean(config), countersign: forwardAuth(config), ...rewrites(config) },
      routers: { ...publicRouters(), ...routers(config) },
      services: { 'countersign-public': servers([publicUrl(config)]), ...services(upstreams) },
      serversTransports: Object.fromEntries(upstreams.map((upstream) => [upstream.name, transport(upstream)])),
    },
  },
  { lineWidth: 0 },
)}`;
  return { 'traefik.yaml': { text: traefik, mode: 0o644 }, 'dynamic.yaml': { text: dynamic, mode: 0o644 } };
}

/** An empty value removes the header. The gateway refuses other spellings. */
const clean = (config: GatewayConfig) => ({
  headers: {
    customRequestHeaders: Object.fromEntries(
      [...headersOfCall, ...removedFromRequest(config)].map((name) => [name, '']),
    ),
    customResponseHeaders: Object.fromEntries(contractHeaders.map((name) => [name, ''])),
  },
});

function forwardAuth(config: GatewayConfig) {
  const { decision, listen } = config;
  if (decision === undefined || listen.decision === undefined || isSocket(listen.decision))
    throw new Error('check refuses a file without an address');
  const digested = config.routes.filter(({ body }) => body.mode === 'digest').map(({ body }) => body.maxBytes);
  return {
    forwardAuth: {
      address: `${decision.clientCa === undefined ? 'http' : 'https'}://${listen.decision.host}:${listen.decision.port}/decide`,
      // Traefik then writes the address of its own peer, and not what the client says.
      trustForwardHeader: false,
      forwardBody: true,
      maxBodySize: Math.max(0, ...digested),
      preserveLocationHeader: true,
      // Each is removed from the request, and then set if the decision has it.
      authResponseHeaders: headersOfRequest,
      ...(decision.clientCa !== undefined && {
        tls: { ca: 'gateway-ca.pem', cert: 'proxy.pem', key: 'proxy-key.pem' },
      }),
    },
  };
}

const rewriteName = (name: string): string => `countersign-rewrite-${name}`;

const rewrites = ({ routes }: GatewayConfig) =>
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

/** Preflights and OAuth metadata carry no identity. The gateway's public listener answers them. */
const publicRouters = () => ({
  'countersign-public': {
    entryPoints: ['web'],
    rule: 'PathPrefix(`/.well-known/oauth-protected-resource`) || (Method(`OPTIONS`) && HeaderRegexp(`Access-Control-Request-Method`, `.`))',
    priority: 1_000_000,
    service: 'countersign-public',
  },
});

function routers(config: GatewayConfig) {
  const all = orderedRoutes(config);
  return Object.fromEntries(
    all.map(({ route: { name, upstream, rewrite }, pattern, methods }, at) => [
      name,
      {
        entryPoints: ['web'],
        rule: `PathRegexp(\`${pattern}\`)${methods === undefined ? '' : ` && (${methods.map((method) => `Method(\`${method}\`)`).join(' || ')})`}`,
        priority: all.length - at,
        // The rewrite comes last: the client's proof names the target before it.
        middlewares: ['countersign-clean', 'countersign', ...(rewrite === undefined ? [] : [rewriteName(name)])],
        service: upstream.name,
      },
    ]),
  );
}

const publicUrl = ({ listen: { public: address }, certificate }: GatewayConfig): string =>
  `${certificate === undefined ? 'http' : 'https'}://${address.host}:${address.port}`;

const servers = (urls: readonly string[]) => ({ loadBalancer: { servers: urls.map((url) => ({ url })) } });

const services = (upstreams: readonly Upstream[]) =>
  Object.fromEntries(
    upstreams.map(({ name, targets }) => [
      name,
      { loadBalancer: { ...servers(targets).loadBalancer, passHostHeader: false, serversTransport: name } },
    ]),
  );

const transport = ({ timeouts, tls }: Upstream) => ({
  forwardingTimeouts: { dialTimeout: `${timeouts.connectMs}ms`, responseHeaderTimeout: `${timeouts.responseMs}ms` },
  ...(tls?.serverName !== undefined && { serverName: tls.serverName }),
  ...(tls?.caFile !== undefined && { rootCAs: [tls.caFile] }),
  ...(tls?.certFile !== undefined && { certificates: [{ certFile: tls.certFile, keyFile: tls.keyFile }] }),
});
