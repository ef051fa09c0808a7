import { contractHeaders } from '@countersign/identity';

export const proxySecretHeader = 'x-countersign-proxy-secret';

/** The path of the gateway's decision endpoint. Envoy appends the original target to it. */
export const decidePath = '/decide';

/** The headers that a decision sets on the request to the service. The proxy removes those that it does not set. */
export const headersOfRequest: readonly string[] = [
  ...contractHeaders,
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'traceparent',
  // Never set, because they end at the gateway.
  'tracestate',
  'baggage',
  'authorization',
  'dpop',
  'cookie',
];

export type TcpAddress = Readonly<{ host: string; port: number }>;

/** A service behind the proxy. Its name is the audience of the signatures that it receives. */
export type Service = Readonly<{
  name: string;
  /** The service's origins, all with the same scheme. */
  targets: readonly string[];
  timeouts: Readonly<{ connectMs: number; responseMs: number; idleMs: number }>;
  tls?:
    | Readonly<{
        serverName?: string | undefined;
        caFile?: string | undefined;
        certFile?: string | undefined;
        keyFile?: string | undefined;
      }>
    | undefined;
}>;

/** A path segment: a literal, any one segment, or any number of segments at the end. */
export type PathSegment = Readonly<{ kind: 'literal'; text: string } | { kind: 'param' } | { kind: 'rest' }>;

export type PlannedRoute = Readonly<{
  name: string;
  segments: readonly PathSegment[];
  /** Includes HEAD if GET is included. */
  methods: readonly string[];
  needsToken: boolean;
  upstream: Service;
  rewrite?: Readonly<{ from: string; to: string }> | undefined;
  websocket: boolean;
  body: Readonly<{ mode: 'digest' | 'stream' | 'none'; maxBytes: number }>;
}>;

/** Everything that a proxy's configuration depends on. */
export type ProxyPlan = Readonly<{
  /** The proxy's `host:port`. */
  listen: string;
  /** The gateway's public listener, which answers preflights and OAuth metadata. */
  public: TcpAddress & Readonly<{ isTls: boolean }>;
  /** The gateway's decision listener. With TLS it requires a certificate from the proxy; see {@link proxyFiles}. */
  decision: (TcpAddress & Readonly<{ isTls: boolean }>) | Readonly<{ socket: string; group?: string | undefined }>;
  /** The name in the gateway's certificate. */
  serverName: string;
  secret: string | undefined;
  routes: readonly PlannedRoute[];
  /** Additional request headers that services must not see. */
  strip: readonly string[];
  /** The origins whose pages may read responses. If undefined, the services' own CORS headers pass. */
  cors?: Readonly<{ origins: readonly string[]; credentials: boolean; exposed: string }> | undefined;
  /** Each error code's status and public text. */
  errors: Readonly<Record<string, Readonly<{ status: number; title: string }>>>;
}>;

/** The files that a proxy needs, by name. */
export type Printed = Readonly<Record<string, Readonly<{ text: string; mode: number }>>>;

/** Where the proxy finds its certificate, its key, and the gateway's CA: next to its configuration. */
export const proxyFiles = { cert: 'proxy.pem', key: 'proxy-key.pem', ca: 'gateway-ca.pem' };

export const urlOf = ({ host, port, isTls }: TcpAddress & Readonly<{ isTls: boolean }>): string =>
  `${isTls ? 'https' : 'http'}://${host}:${port}`;

export const servicesOf = ({ routes }: Pick<ProxyPlan, 'routes'>): readonly Service[] => [
  ...new Set(routes.map(({ upstream }) => upstream)),
];

/** The largest body that a signature covers. */
export const maxDigested = ({ routes }: Pick<ProxyPlan, 'routes'>): number =>
  Math.max(0, ...routes.filter(({ body }) => body.mode === 'digest').map(({ body }) => body.maxBytes));

/**
 * Returns the response body to send if a service refused the signature. The deployment is at fault, never the token.
 */
export function refusedIdentity({ errors }: Pick<ProxyPlan, 'errors'>, requestId: string): string {
  const { title, status } = errors.identity_refused ?? { title: '', status: 502 };
  return `{"type":"urn:countersign:error:identity_refused","title":"${title}","status":${status},"code":"identity_refused","request_id":"${requestId}"}`;
}
