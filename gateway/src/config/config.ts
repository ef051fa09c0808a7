import type { FileRead } from './files.ts';
import type { Issuer, Scalar } from './issuer.ts';

export type { Issuer, Scalar } from './issuer.ts';

/** The tolerated difference between the clocks of the gateway, issuers, services and clients. */
export const toleranceMs = 5000;

/** The address of a listener. With port 0 the system chooses a port. */
export type Address = Readonly<{ host: string; port: number }>;

/** In PEM: a certificate followed by its chain, and its private key. */
export type Certificate = Readonly<{
  cert: string;
  key: string;
  expiresAtMs: number;
  /** Whose certificates clients may present, in PEM. Undefined: clients are not asked for one. */
  clients?: Readonly<{ ca: string; mode: 'request' | 'require' }> | undefined;
}>;

/** A network in the form that `net.BlockList.addSubnet` takes. */
export type Network = Readonly<{ address: string; prefix: number; family: 'ipv4' | 'ipv6' }>;

/**
 * How the gateway signs requests to one upstream. `next` is the secret that will replace `secret`. `countersign keys list` prints its
 * keyid, to compare with the services, but it signs nothing yet.
 */
export type UpstreamIdentity =
  | Readonly<{ algorithm: 'ed25519' }>
  | Readonly<{ algorithm: 'hmac-sha256'; secret: Uint8Array; next: Uint8Array | undefined }>
  /** With an HMAC key that both sides derive from published keys, or with ed25519 while there is none. */
  | Readonly<{ algorithm: 'agreed' }>;

/** A service behind the gateway. Its name is the audience of its signatures. */
export type Upstream = Readonly<{
  name: string;
  /** Origins, as `new URL(target).origin`; at least one. */
  targets: readonly string[];
  identity: UpstreamIdentity;
  txnToken: boolean;
  /** Of the file: the same for all upstreams. */
  httpClient: 'own' | 'undici';
  timeouts: Readonly<{ connectMs: number; responseMs: number; idleMs: number }>;
  /** The minimum rate in bytes per second at which a client sends a body or reads a response. 0: no minimum. */
  minRate: number;
  balance: 'round-robin' | 'least-pending';
  /** Undefined: no health checks. */
  health:
    | Readonly<{ path: string; intervalMs: number; timeoutMs: number; unhealthyAfter: number; healthyAfter: number }>
    | undefined;
  /** Attempts after the first. */
  retry: Readonly<{ attempts: number }>;
  /** Undefined: no breaker. */
  breaker: Readonly<{ failureRate: number; minimum: number; windowMs: number; cooldownMs: number }> | undefined;
  /** Undefined: the CAs of the system, and no client certificate. */
  tls: UpstreamTls | undefined;
}>;

/** Authentication of an https upstream and of the gateway. Paths are absolute; the files are read again when they change. */
export type UpstreamTls = Readonly<{
  /** Replaces the CAs of the system. */
  caFile: string | undefined;
  /** The client certificate of the gateway and its key: both or neither. */
  certFile: string | undefined;
  keyFile: string | undefined;
  /** The name in its certificate. Undefined: the host of the target. */
  serverName: string | undefined;
}>;

/** What a rate limit counts by. The limit stage has the bucket of each. */
export const limitKinds = ['user', 'client', 'tenant', 'address', 'route'] as const;

/** At most `requests` in any `perSec` seconds. `by: user` counts an anonymous caller by address. */
export type Limit = Readonly<{
  requests: number;
  perSec: number;
  by: (typeof limitKinds)[number];
  /** While Redis is unavailable: count in this process, or refuse with 503. */
  onStoreFailure: 'local' | 'deny';
}>;

export type AuthMode = 'required' | 'optional' | 'public' | 'service';

/** The authentication scheme of an access token. */
export type Scheme = 'Bearer' | 'DPoP';

/** A client or an actor that a route allows. `issuer` undefined: the issuer of the token. */
export type AllowedParty = Readonly<{ issuer: string | undefined; name: string }>;

/** Conditions on the caller. Undefined: no condition. */
export type Allow = Readonly<{
  roles: ReadonlySet<string> | undefined;
  /** The path parameter, without its colon, that must equal the caller's tenant. */
  tenantParam: string | undefined;
  /** The scopes that a token must have, all of them. */
  scopes: readonly string[];
  /** The clients that may call. Undefined: any user's client, and no machine. */
  clients: 'any' | readonly AllowedParty[] | undefined;
  /** The actors that may act for the caller. Empty: none. */
  actors: readonly AllowedParty[];
  /** Claims that a token must have with one of these values. */
  claims: readonly Readonly<{ claim: string; values: ReadonlySet<Scalar> }>[];
}>;

export type Route = Readonly<{
  name: string;
  /** The pattern as written, e.g. `/v1/tenants/:tenantId/**`. */
  path: string;
  /** Upper case, as written: HEAD is implied by GET, but not listed. */
  methods: readonly string[];
  upstream: Upstream;
  auth: AuthMode;
  allow: Allow;
  /** Whether a token must be bound to a key of the client. */
  senderConstrained: boolean;
  /** The challenges for a client without a token. `DPoP` requires `publicOrigins`. */
  schemes: readonly Scheme[];
  /** The services that may call it on the internal listener. Empty unless `auth` is `service`. */
  callers: ReadonlySet<string>;
  limits: readonly Limit[];
  body: Readonly<{ mode: 'digest' | 'stream' | 'none'; maxBytes: number }>;
  websocket: boolean;
  /** Whole segments, without a trailing slash except for the root `/`. */
  rewrite: Readonly<{ from: string; to: string }> | undefined;
  /** Credentials that are forwarded, not stripped: cookies by name, in both directions, and headers of the client. */
  forward: Readonly<{ cookies: ReadonlySet<string>; authorization: boolean; dpop: boolean }>;
}>;

/** Settings of CORS. `headers` and `expose` add to the headers that the gateway needs itself. */
export type Cors = Readonly<{
  /** In the form that browsers send. */
  origins: readonly string[];
  credentials: boolean;
  headers: readonly string[];
  expose: readonly string[];
  maxAgeSec: number;
}>;

/** One nonce is issued for `lifetimeSec`. The previous one is still accepted. */
export type DpopNonceSettings = Readonly<{ secret: Uint8Array; lifetimeSec: number }>;

/** A service that may call on the internal listener, and the file with its public keys. */
type CallingService = Readonly<{ name: string; keysFile: string }>;

/** The caller of a test: a user, or without `userId` a machine. */
export type TestCaller = Readonly<{
  /** The `iss` or the name of the token's issuer. Undefined: the first of the file. */
  issuer: string | undefined;
  userId: string | undefined;
  role: string | undefined;
  tenantId: string | undefined;
  client: string | undefined;
  scope: readonly string[];
  actor: AllowedParty | undefined;
  claims: Readonly<Record<string, readonly Scalar[]>>;
  bound: boolean;
}>;

/** One entry of the `tests:` block. */
export type PolicyTest = Readonly<{
  request: Readonly<{
    method: string;
    /** The request target, query included. */
    target: string;
    as: TestCaller | undefined;
    service: string | undefined;
  }>;
  expect: Readonly<{
    allowed: boolean;
    status?: number | undefined;
    code?: string | undefined;
    route?: string | undefined;
    upstream?: string | undefined;
    /** The path that the upstream receives. */
    path?: string | undefined;
  }>;
  /** `file:line:column`, for the report. */
  at: string;
}>;

/** A valid configuration. Immutable: a reload makes a new one. */
export type GatewayConfig = Readonly<{
  /** Absolute path of the file. */
  file: string;
  /** SHA-256 of the text of the file, in hex. Without the values of variables, which contain secrets. */
  hash: string;
  /** All files that it was read from: gateway.yaml, then those with secrets and the certificate. */
  files: readonly FileRead[];
  /** The values of the file without secrets, as JSON. One string passes between threads faster than a tree of objects. */
  redacted: string;
  listen: Readonly<{ public: Address; admin: Address; internal: Address }>;
  /** `console`: whether the admin listener has pages. `allowedHosts`: in lower case, with or without a port. */
  admin: Readonly<{ console: boolean; allowedHosts: readonly string[] }>;
  /** The certificate of the public listener. Undefined: plain HTTP. */
  certificate: Certificate | undefined;
  /** The origins that clients may use. Empty: any `Host` is accepted. */
  publicOrigins: readonly string[];
  trustedProxies: readonly Network[];
  insecureTransport: boolean;
  /** A `redis:` or `rediss:` URL. Undefined: each process counts for itself. */
  redis: string | undefined;
  issuers: readonly Issuer[];
  /** Every scope that a route requires, or that a service checks. */
  scopes: readonly string[];
  identity: Readonly<{ keysDir: string; lifetimeSec: number }>;
  dpop: Readonly<{ nonces: DpopNonceSettings | undefined }>;
  services: ReadonlyMap<string, CallingService>;
  upstreams: ReadonlyMap<string, Upstream>;
  routes: readonly Route[];
  /** Undefined: no CORS headers. */
  cors: Cors | undefined;
  websockets: Readonly<{ maxPerUser: number }>;
  uploads: Readonly<{
    maxPerAddress: number;
    /** Bytes. Undefined: a share of the memory. */
    maxBuffered: number | undefined;
    maxBufferedPerAddress: number | undefined;
  }>;
  headers: Readonly<{ strip: readonly string[]; security: boolean }>;
  tests: readonly PolicyTest[];
}>;
