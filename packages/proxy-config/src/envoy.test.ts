import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { printEnvoy } from './envoy.ts';
import type { PlannedRoute, ProxyPlan } from './plan.ts';

const upstream = {
  name: 'things',
  identity: { headers: true },
  targets: ['http://127.0.0.1:9000'],
  timeouts: { connectMs: 1_000, responseMs: 2_000, idleMs: 2_000 },
};
const routeOf = (mode: 'digest' | 'stream'): PlannedRoute => ({
  name: mode,
  segments: [{ kind: 'literal', text: mode }],
  methods: ['POST'],
  needsToken: true,
  upstream,
  websocket: false,
  body: { mode, maxBytes: 1_024 },
});

function printed(decision: ProxyPlan['decision'], secret?: string) {
  const { text } = printEnvoy({
    listen: '0.0.0.0:8000',
    public: { host: '127.0.0.1', port: 8080, isTls: false },
    decision,
    serverName: 'gateway.test',
    secret,
    routes: [routeOf('digest'), routeOf('stream')],
    strip: [],
    errors: {},
  })['envoy.yaml'] ?? { text: '' };
  const { listeners, clusters } = parse(text).static_resources;
  const { route_config, http_filters } = listeners[0].filter_chains[0].filters[0].typed_config;
  return {
    routes: route_config.virtual_hosts[0].routes,
    filter: http_filters.find(({ name }: { name: string }) => name === 'countersign').typed_config,
    cluster: clusters.find(({ name }: { name: string }) => name === 'countersign-decision'),
  };
}

test('Envoy asks over gRPC, with all original headers and with the secret as metadata', () => {
  const { filter, cluster } = printed({ host: '127.0.0.1', port: 8091, isTls: false }, 'of-the-test');
  expect(filter.grpc_service).toEqual({
    envoy_grpc: { cluster_name: 'countersign-decision' },
    timeout: '0.5s',
    initial_metadata: [{ key: 'x-countersign-proxy-secret', value: 'of-the-test' }],
  });
  expect(filter).toMatchObject({
    encode_raw_headers: true,
    failure_mode_allow: false,
    status_on_error: { code: 'ServiceUnavailable' },
  });
  // Without this list, Envoy sends all headers.
  expect(filter.allowed_headers).toBeUndefined();
  const [options] = Object.values(cluster.typed_extension_protocol_options);
  expect(options).toMatchObject({ explicit_http_config: { http2_protocol_options: {} } });
});

test('Envoy buffers the body only on routes that sign it', () => {
  const { filter, routes } = printed({ socket: '/run/countersign/decision.sock' });
  expect(filter.with_request_body).toEqual({
    max_request_bytes: 1_024,
    allow_partial_message: false,
    pack_as_bytes: true,
  });
  const settings = routes
    .filter(({ match }: { match: { safe_regex?: unknown } }) => match.safe_regex !== undefined)
    .map(
      (route: { typed_per_filter_config?: { countersign: { check_settings: unknown } } }) =>
        route.typed_per_filter_config?.countersign.check_settings,
    );
  expect(settings).toEqual([undefined, { disable_request_body_buffering: true }]);
});

test('over TLS, Envoy chooses HTTP/2 and presents its certificate', () => {
  const { cluster } = printed({ host: 'gateway.test', port: 8091, isTls: true });
  expect(cluster.transport_socket.typed_config.common_tls_context).toMatchObject({
    alpn_protocols: ['h2'],
    tls_certificates: [{ certificate_chain: { filename: 'proxy.pem' } }],
  });
});
