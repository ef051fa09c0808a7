import { stringify } from 'yaml';
import { headersOfCall } from './dialect.ts';
import { hiddenWithToken, removedFromRequest, removedFromResponse } from './headers.ts';
import type { OrderedRoute, Printed, ProxyPlan, Service } from './plan.ts';
import * as plans from './plan.ts';

const http = 'type.googleapis.com/envoy.extensions.filters';

/** Writes an envoy.yaml whose `ext_authz` filter asks the gateway over gRPC. */
export function printEnvoy(plan: ProxyPlan): Printed {
  const text = `# Written by \`countersign integrate envoy\` from gateway.yaml. Run it: envoy -c envoy.yaml
# Needs Envoy 1.36 or later.
${stringify(
  {
    static_resources: {
      listeners: [
        {
          name: 'public',
          address: socketAddress(...hostAndPort(plan.listen)),
          filter_chains: [{ filters: [connectionManager(plan)] }],
        },
      ],
      clusters: [
        decisionCluster(plan),
        cluster('countersign-public', [socketAddress(plan.public.host, plan.public.port)], {
          connectMs: 2_000,
        }),
        ...plans.servicesOf(plan).map(serviceCluster),
      ],
    },
  },
  { lineWidth: 0 },
)}`;
  return { 'envoy.yaml': { text, mode: 0o600 } };
}

const connectionManager = (plan: ProxyPlan) => ({
  name: 'envoy.filters.network.http_connection_manager',
  typed_config: {
    '@type': `${http}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'public',
    use_remote_address: true,
    // The gateway and the service must read the same path.
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'REJECT_REQUEST',
    // Otherwise Envoy would write its trace decision into the request id, over a UUIDv7's version digit.
    request_id_extension: {
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig',
        pack_trace_reason: false,
      },
    },
    common_http_protocol_options: { max_headers_count: 100, headers_with_underscores_action: 'REJECT_REQUEST' },
    http2_protocol_options: { max_concurrent_streams: 100, allow_connect: false },
    route_config: {
      name: 'public',
      request_headers_to_remove: [],
      response_headers_to_remove: removedFromResponse(plan),
      virtual_hosts: [
        {
          name: 'public',
          domains: ['*'],
          routes: [...ownRoutes, ...plans.orderedRoutes(plan).map(route)],
        },
      ],
    },
    http_filters: [
      {
        name: 'clean',
        typed_config: {
          '@type': `${http}.http.header_mutation.v3.HeaderMutation`,
          mutations: {
            request_mutations: [...headersOfCall, ...removedFromRequest(plan)].map((name) => ({ remove: name })),
          },
        },
      },
      { name: 'countersign', typed_config: extAuthz(plan) },
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${http}.http.router.v3.Router` },
      },
    ],
  },
});

function extAuthz(plan: ProxyPlan) {
  const { secret } = plan;
  return {
    '@type': `${http}.http.ext_authz.v3.ExtAuthz`,
    transport_api_version: 'V3',
    // Fails closed: without an answer from the gateway, Envoy forwards nothing (CVE-2024-23324).
    failure_mode_allow: false,
    failure_mode_allow_header_add: false,
    // Envoy's default is 403, which says that the caller may not.
    status_on_error: { code: 'ServiceUnavailable' },
    // Keeps the route that Envoy chose before the decision. A header in the answer must not select another route.
    clear_route_cache: false,
    // Repeated headers stay separate (CVE-2021-32777).
    encode_raw_headers: true,
    with_request_body: {
      max_request_bytes: Math.max(1, plans.maxDigested(plan)),
      allow_partial_message: false,
      pack_as_bytes: true,
    },
    grpc_service: {
      envoy_grpc: { cluster_name: 'countersign-decision' },
      timeout: '0.5s',
      ...(secret !== undefined && { initial_metadata: [{ key: plans.proxySecretHeader, value: secret }] }),
    },
  };
}

const onRoute = (overrides: object) => ({
  typed_per_filter_config: {
    countersign: { '@type': `${http}.http.ext_authz.v3.ExtAuthzPerRoute`, ...overrides },
  },
});

/** Preflight and OAuth metadata requests carry no identity. The gateway's public listener answers them. */
const ownRoutes = [
  { prefix: '/.well-known/oauth-protected-resource' },
  {
    prefix: '/',
    headers: [
      { name: ':method', string_match: { exact: 'OPTIONS' } },
      { name: 'access-control-request-method', present_match: true },
    ],
  },
].map((match) => ({
  match,
  route: { cluster: 'countersign-public' },
  // The gateway would continue the client's trace if it trusts the proxy.
  request_headers_to_remove: ['traceparent'],
  ...onRoute({ disabled: true }),
}));

/** The gateway does not sign a streamed body, so Envoy does not buffer it. */
const bodyNotShown = onRoute({ check_settings: { disable_request_body_buffering: true } });

function route({ route: { upstream, rewrite, websocket, body }, pattern, methods }: OrderedRoute) {
  return {
    match: {
      safe_regex: { regex: pattern },
      ...(methods !== undefined && {
        headers: [{ name: ':method', string_match: { safe_regex: { regex: methods.join('|') } } }],
      }),
    },
    route: {
      cluster: upstream.name,
      timeout: '0s',
      idle_timeout: `${Math.max(upstream.timeouts.responseMs, upstream.timeouts.idleMs) / 1000}s`,
      // No retries: a repeated request carries a used nonce, so the service refuses it.
      retry_policy: { num_retries: 0 },
      ...(rewrite !== undefined && {
        regex_rewrite: {
          pattern: { regex: `^${rewrite.from === '/' ? '' : rewrite.from}` },
          substitution: rewrite.to === '/' ? '' : rewrite.to,
        },
      }),
      upgrade_configs: [{ upgrade_type: 'websocket', enabled: websocket }],
      ...((websocket || body.mode === 'stream') && { max_stream_duration: { max_stream_duration: '900s' } }),
    },
    ...(upstream.identity.token !== undefined && { response_headers_to_remove: hiddenWithToken }),
    ...(body.mode === 'stream' && bodyNotShown),
  };
}

const socketAddress = (address: string, port: number) => ({ socket_address: { address, port_value: port } });

const hostAndPort = (address: string): readonly [host: string, port: number] => {
  const end = address.lastIndexOf(':');
  return [address.slice(0, end).replace(/^\[|\]$/g, ''), Number(address.slice(end + 1))];
};

type Files = Readonly<{ cert: string | undefined; key: string | undefined; ca: string }>;

/** TLS to a cluster. With a name, the cluster's certificate must contain it. */
const tlsSocket = ({ cert, key, ca }: Files, common: object, name?: string) => ({
  transport_socket: {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      ...(name !== undefined && { sni: name }),
      common_tls_context: {
        ...common,
        ...(cert !== undefined && {
          tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
        }),
        validation_context: {
          trusted_ca: { filename: ca },
          ...(name !== undefined && {
            match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: name } }],
          }),
        },
      },
    },
  },
});

function decisionCluster({ decision }: ProxyPlan) {
  const isSocket = 'socket' in decision;
  const address = isSocket ? { pipe: { path: decision.socket } } : socketAddress(decision.host, decision.port);
  return {
    ...cluster('countersign-decision', [address], { connectMs: 250 }),
    // gRPC needs HTTP/2.
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    ...(!isSocket && decision.isTls && tlsSocket(plans.proxyFiles, { alpn_protocols: ['h2'] })),
  };
}

const cluster = (name: string, addresses: readonly object[], { connectMs }: Readonly<{ connectMs: number }>) => ({
  name,
  type: 'STRICT_DNS',
  connect_timeout: `${connectMs / 1000}s`,
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: addresses.map((address) => ({ endpoint: { address } })) }],
  },
});

function serviceCluster({ name, targets, timeouts, tls }: Service) {
  const urls = targets.map((target) => new URL(target));
  const isTls = urls[0]?.protocol === 'https:';
  const files = { cert: tls?.certFile, key: tls?.keyFile, ca: tls?.caFile ?? '/etc/ssl/certs/ca-certificates.crt' };
  const addresses = urls.map(({ hostname, port }) => socketAddress(hostname, Number(port || (isTls ? 443 : 80))));
  return {
    ...cluster(name, addresses, timeouts),
    ...(isTls && tlsSocket(files, {}, tls?.serverName ?? urls[0]?.hostname)),
  };
}
