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

type TcpAddress = Readonly<{ host: string; port: number }>;

/** A service behind the proxy. Its name is the audience of the signatures and tokens that it receives. */
export type Service = Readonly<{
  name: string;
  /** Whether the service receives signed headers, and the header of its identity token. */
  identity: Readonly<{
    headers: boolean;
    token?: Readonly<{ header: string; unauthorized: 'refuse' | 'pass' }> | undefined;
  }>;
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

export type ProxyPlan = Readonly<{
  listen: string;
  /** The gateway's public listener, which answers preflights and OAuth metadata. */
  public: TcpAddress & Readonly<{ isTls: boolean }>;
  /** The gateway's decision listener. With TLS it requires a certificate from the proxy; see {@link proxyFiles}. */
  decision: (TcpAddress & Readonly<{ isTls: boolean }>) | Readonly<{ socket: string; group?: string | undefined }>;
  serverName: string;
  secret: string | undefined;
  routes: readonly PlannedRoute[];
  /** Additional request headers that services must not see. */
  strip: readonly string[];
  /** The origins whose pages may read responses. If undefined, the services' own CORS headers pass. */
  cors?: Readonly<{ origins: readonly string[]; credentials: boolean; exposed: string }> | undefined;
  errors: Readonly<Record<string, Readonly<{ status: number; title: string }>>>;
  /** Where the pages of error codes are, with a slash at its end. */
  docs?: string | undefined;
}>;

export type Printed = Readonly<Record<string, Readonly<{ text: string; mode: number }>>>;

/** Where the proxy finds its certificate, its key, and the gateway's CA: next to its configuration. */
export const proxyFiles = { cert: 'proxy.pem', key: 'proxy-key.pem', ca: 'gateway-ca.pem' };

export const urlOf = ({ host, port, isTls }: TcpAddress & Readonly<{ isTls: boolean }>): string =>
  `${isTls ? 'https' : 'http'}://${host}:${port}`;

export const servicesOf = ({ routes }: Pick<ProxyPlan, 'routes'>): readonly Service[] => [
  ...new Set(routes.map(({ upstream }) => upstream)),
];

/** The headers of identity tokens, besides `authorization`, which is among {@link headersOfRequest} anyway. */
export const tokenHeadersOf = (services: Iterable<Pick<Service, 'identity'>>): readonly string[] => {
  const used = [...services].map(({ identity: { token } }) => token?.header ?? 'authorization');
  return [...new Set(used)].filter((name) => name !== 'authorization');
};

/** All headers that a decision for one of the plan's routes sets on the request to the service. */
export const setOnRequest = (plan: Pick<ProxyPlan, 'routes'>): readonly string[] => [
  ...headersOfRequest,
  ...tokenHeadersOf(servicesOf(plan)),
];

/** The header without which a decision for this service is not complete. */
export const proofFor = ({ identity: { headers, token } }: Service): string =>
  headers || token === undefined ? 'signature' : token.header;

/** Whether a 401 of this service means that it refuses the gateway's token. */
export const refusesTokens = ({ identity: { token } }: Service): boolean => token?.unauthorized === 'refuse';

/** The largest body that a signature covers. */
export const maxDigested = ({ routes }: Pick<ProxyPlan, 'routes'>): number =>
  Math.max(0, ...routes.filter(({ body }) => body.mode === 'digest').map(({ body }) => body.maxBytes));

/** The response body for what the proxy answers itself: a service refused the signature, or the gateway is down. */
export function problemText(
  { errors, docs }: Pick<ProxyPlan, 'errors' | 'docs'>,
  code: 'identity_refused' | 'unavailable',
  requestId?: string,
): string {
  const { title = '', status = 503 } = errors[code] ?? {};
  const type = `urn:countersign:error:${code}`;
  const more = {
    ...(requestId !== undefined && { request_id: requestId }),
    ...(docs !== undefined && { docs: docs + code }),
  };
  return JSON.stringify({ type, title, status, code, ...more });
}

/** A route, for a proxy that chooses the service itself. */
export type OrderedRoute = Readonly<{
  route: PlannedRoute;
  /** Matches the whole path. Means the same in RE2 and Go. */
  pattern: string;
  /** Undefined if every method at this path goes to the same service. */
  methods: readonly string[] | undefined;
}>;

const rank = { literal: 0, param: 1, rest: 2 } as const;

/**
 * Sorts the routes by precedence. In each segment, a literal comes before a parameter, and a parameter before `**`. If
 * a proxy chose another service than the gateway, the signature would have the wrong audience, and the service would
 * refuse it.
 */
export function orderedRoutes({ routes }: Pick<ProxyPlan, 'routes'>): readonly OrderedRoute[] {
  const all = routes.toSorted((a, b) => compare(a.segments, b.segments));
  const byPattern = Map.groupBy(all, ({ segments }) => patternOf(segments));
  return [...byPattern].flatMap(([pattern, same]): readonly OrderedRoute[] => {
    const destinations = new Set(same.map(({ upstream, rewrite }) => JSON.stringify([upstream.name, rewrite])));
    const [first] = same;
    if (destinations.size === 1 && first !== undefined) return [{ route: first, pattern, methods: undefined }];
    return same.map((route) => ({ route, pattern, methods: route.methods }));
  });
}

function compare(a: readonly PathSegment[], b: readonly PathSegment[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const [one, other] = [a[at], b[at]];
    if (one === undefined || other === undefined) return one === undefined ? (other?.kind === 'rest' ? -1 : 1) : -1;
    const difference = rank[one.kind] - rank[other.kind];
    if (difference !== 0) return difference;
  }
  return 0;
}

function patternOf(segments: readonly PathSegment[]): string {
  const parts = segments.map((segment) => {
    if (segment.kind === 'literal') return `/${segment.text.replace(/[.+*?^$()[\]{}|\\]/g, '\\$&')}`;
    return segment.kind === 'param' ? '/[^/]+' : '(/.*)?';
  });
  return `^${parts.join('') || '/'}$`;
}
