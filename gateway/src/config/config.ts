import type { FileRead } from './files.ts';

/** How far the clocks of the gateway, issuers, services and clients may be apart. */
export const toleranceMs = 5000;

/** Where one listener listens. Port 0 lets the system choose. */
export type Address = Readonly<{ host: string; port: number }>;

/** In PEM: a chain, its own first, and its private key. */
export type Certificate = Readonly<{ cert: string; key: string; expiresAtMs: number }>;

/** A network in the form that `net.BlockList.addSubnet` takes. */
export type Network = Readonly<{ address: string; prefix: number; family: 'ipv4' | 'ipv6' }>;

type SigningAlgorithm =
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512';

/** Who may issue tokens, and what such a token may say. */
export type Issuer = Readonly<{
  /** Compared with `iss` byte by byte. */
  issuer: string;
  audience: string;
  /** A URL, or the absolute path of a file. */
  jwks: string;
  algorithms: readonly SigningAlgorithm[];
  /** The claims' names in this issuer's tokens. */
  claims: Readonly<{ userId: string; role: string; tenantId: string }>;
  /** Undefined: this issuer may name any. Never undefined where there are two issuers or more. */
  tenants: ReadonlySet<string> | undefined;
  roles: ReadonlySet<string> | undefined;
  revocations: Readonly<{ url: string; maxStalenessMs: number; onStale: 'allow' | 'deny' }> | undefined;
}>;

/**
 * How the gateway signs towards one upstream. `secret` signs. `next` is what `secret` will become: it is checked and
 * its keyid redacted by `countersign keys list`, so that services can be seen to know it, but it signs nothing yet.
 */
export type UpstreamIdentity =
  | Readonly<{ algorithm: 'ed25519' }>
  | Readonly<{ algorithm: 'hmac-sha256'; secret: Uint8Array; next: Uint8Array | undefined }>;

/** A service behind the gateway. Its name is the audience of what is signed for it. */
export type Upstream = Readonly<{
  name: string;
  /** Origins, as `new URL(target).origin`; at least one. */
  targets: readonly string[];
  identity: UpstreamIdentity;
  txnToken: boolean;
  timeouts: Readonly<{ connectMs: number; responseMs: number; idleMs: number }>;
  /** Bytes a second that a client has to send of a body, or read of an answer. 0: none. */
  minRate: number;
  balance: 'round-robin' | 'least-pending';
  /** Undefined: nothing is asked but what clients ask. */
  health:
    | Readonly<{ path: string; intervalMs: number; timeoutMs: number; unhealthyAfter: number; healthyAfter: number }>
    | undefined;
  /** Further attempts, beyond the first. */
  retry: Readonly<{ attempts: number }>;
  /** Undefined: it is always asked. */
  breaker: Readonly<{ failureRate: number; minimum: number; windowMs: number; cooldownMs: number }> | undefined;
  /** Absolute paths of PEM files, read at start and whenever they change. Undefined: the system's CAs, and no certificate of ours. */
  tls: UpstreamTls | undefined;
}>;

/** How an https upstream is known, and how it knows us. */
export type UpstreamTls = Readonly<{
  /** Instead of the system's CAs, not besides them. */
  caFile: string | undefined;
  /** Both or neither. */
  certFile: string | undefined;
  keyFile: string | undefined;
  /** The name its certificate must be for, where that is not the target's host. */
  serverName: string | undefined;
}>;

type LimitBy = 'user' | 'tenant' | 'address' | 'route';

/** `requests` in any `perSec` seconds. `by: user` counts an anonymous caller by address. */
export type Limit = Readonly<{
  requests: number;
  perSec: number;
  by: LimitBy;
  /** While Redis does not answer: count in this process, or refuse with 503. */
  onStoreFailure: 'local' | 'deny';
}>;

export type AuthMode = 'required' | 'optional' | 'public' | 'service';

/** How a client may present a token. */
export type Scheme = 'Bearer' | 'DPoP';

export type Route = Readonly<{
  name: string;
  /** The pattern as written, e.g. `/v1/tenants/:tenantId/**`. */
  path: string;
  /** Upper case, as written: GET's HEAD is not in it. */
  methods: readonly string[];
  upstream: Upstream;
  auth: AuthMode;
  /** Undefined: not asked. `tenantParam` is the `:param`, without its colon, that must equal the caller's tenant. */
  allow: Readonly<{ roles: ReadonlySet<string> | undefined; tenantParam: string | undefined }>;
  /** A token has to be bound to its client's key. */
  senderConstrained: boolean;
  /** What a client without a token is offered; `DPoP` where `publicOrigins` make it possible. */
  schemes: readonly Scheme[];
  /** Services that may call it on the internal listener; empty unless `auth` is `service`. */
  callers: ReadonlySet<string>;
  limits: readonly Limit[];
  body: Readonly<{ mode: 'digest' | 'stream' | 'none'; maxBytes: number }>;
  websocket: boolean;
  /** Whole segments, no trailing slash except for the root `/`. */
  rewrite: Readonly<{ from: string; to: string }> | undefined;
  /** What is otherwise stripped and may pass here: cookies by name (both ways), the client's own credentials. */
  forward: Readonly<{ cookies: ReadonlySet<string>; authorization: boolean; dpop: boolean }>;
}>;

/** Whose pages may read answers. `headers` and `expose` come on top of what the gateway itself needs. */
export type Cors = Readonly<{
  /** As browsers write them. */
  origins: readonly string[];
  credentials: boolean;
  headers: readonly string[];
  expose: readonly string[];
  maxAgeSec: number;
}>;

/** One nonce is handed out for `lifetimeSec`; the one before is still taken. */
export type DpopNonceSettings = Readonly<{ secret: Uint8Array; lifetimeSec: number }>;

/** A service that may call on the internal listener, and the file with its public keys. */
type CallingService = Readonly<{ name: string; keysFile: string }>;

/** One entry of the `tests:` block. */
export type PolicyTest = Readonly<{
  request: Readonly<{
    method: string;
    /** The request target, query included. */
    target: string;
    as: Readonly<{ userId: string; role: string; tenantId: string; bound: boolean }> | undefined;
    service: string | undefined;
  }>;
  expect: Readonly<{
    allowed: boolean;
    status: number | undefined;
    code: string | undefined;
    route: string | undefined;
    upstream: string | undefined;
    /** The path that the upstream gets. */
    path: string | undefined;
  }>;
  /** `file:line:column`, for the report. */
  at: string;
}>;

/** A whole, checked configuration. Immutable: a reload makes another one. */
export type GatewayConfig = Readonly<{
  /** Absolute path of the file. */
  file: string;
  /** SHA-256 of the file's text, hex. Variables are not part of it: they hold secrets. */
  hash: string;
  /** All that it was read from: the file first, then those with secrets and the certificate. */
  files: readonly FileRead[];
  /** The file's values, without anything secret, to be looked at. JSON: one string is handed from thread to thread in no time. */
  redacted: string;
  listen: Readonly<{ public: Address; admin: Address; internal: Address }>;
  /** `allowedHosts`: in lower case, with a port or without. */
  admin: Readonly<{ allowedHosts: readonly string[] }>;
  /** Of the public listener; undefined: it speaks plain HTTP. */
  certificate: Certificate | undefined;
  /** Origins clients may name; empty: any Host is taken. */
  publicOrigins: readonly string[];
  trustedProxies: readonly Network[];
  insecureTransport: boolean;
  /** A `redis:` or `rediss:` URL; undefined: limits are this process's own. */
  redis: string | undefined;
  issuers: readonly Issuer[];
  identity: Readonly<{ keysDir: string; lifetimeSec: number }>;
  dpop: Readonly<{ nonces: DpopNonceSettings | undefined }>;
  services: ReadonlyMap<string, CallingService>;
  upstreams: ReadonlyMap<string, Upstream>;
  routes: readonly Route[];
  /** Undefined: browsers are told nothing. */
  cors: Cors | undefined;
  websockets: Readonly<{ maxPerUser: number }>;
  uploads: Readonly<{ maxPerAddress: number }>;
  headers: Readonly<{ strip: readonly string[]; security: boolean }>;
  tests: readonly PolicyTest[];
}>;
