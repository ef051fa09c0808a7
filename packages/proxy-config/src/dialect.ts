import { proxySecretHeader } from './plan.ts';

/** What a proxy sends about a request when it asks the gateway, and what it passes on from the response. */
type Abilities = Readonly<{
  /** Whether the proxy sends the body to the gateway, so that the signature can cover it. */
  showsBody: boolean;
  /** Whether the gateway learns the original request's `Content-Length` and `Transfer-Encoding`. */
  showsLength: boolean;
  /** Whether the response headers for an allowed request reach the client. */
  passesHeaders: boolean;
  /** Whether the proxy sends the signed request target unchanged, instead of rewriting it by its own rules. */
  takesRequestTarget: boolean;
  /** The version that the test suite runs. Undefined if the configuration is generated but not run. */
  tested: string | undefined;
}>;

export const proxies = {
  nginx: { showsBody: false, showsLength: true, passesHeaders: true, takesRequestTarget: true, tested: '1.26.3' },
  caddy: { showsBody: false, showsLength: false, passesHeaders: false, takesRequestTarget: false, tested: '2.6.2' },
  haproxy: { showsBody: true, showsLength: true, passesHeaders: true, takesRequestTarget: true, tested: '3.0.11' },
  traefik: { showsBody: true, showsLength: true, passesHeaders: false, takesRequestTarget: false, tested: undefined },
  envoy: { showsBody: true, showsLength: true, passesHeaders: true, takesRequestTarget: false, tested: undefined },
} as const satisfies Readonly<Record<string, Abilities>>;

export type ProxyName = keyof typeof proxies;
export const proxyNames = Object.keys(proxies) as readonly ProxyName[];

/** A text for every proxy, or for one. */
type Cell = string | ((proxy: Abilities) => string);

/** How each gateway.yaml key works behind a proxy. */
const rows: readonly (readonly [keys: string, cell: Cell])[] = [
  ['`publicOrigins`, `trustedProxies`, `issuers`, `identity`', 'done'],
  ['`path`, `methods`, `auth`, `allow`', 'done'],
  ['`limits`', 'done, by decision'],
  ['`forward`, `senderConstrained`, `txnToken`, `identity.token`', 'done'],
  ['`rewrite`', ({ takesRequestTarget }) => (takesRequestTarget ? 'done' : 'printed')],
  ['`body: { mode: digest }`', ({ showsBody }) => (showsBody ? 'done' : 'refused')],
  ['`body: { mode: stream }`', 'needs `unsigned: accept`'],
  ['`maxBytes` of a stream', 'the largest of all routes'],
  ['`body: { mode: none }`', ({ showsLength }) => (showsLength ? 'done' : 'refused, except for GET')],
  ['`websocket`, streams', 'needs `longLived: accept`'],
  ['`dpop.nonces`', ({ passesHeaders }) => (passesHeaders ? 'done' : 'refused')],
  ['`cors`: preflights', 'printed'],
  ['`cors`: responses', ({ passesHeaders }) => (passesHeaders ? 'done' : 'printed')],
  ['headers of `limits`', ({ passesHeaders }) => (passesHeaders ? 'done' : 'refusals only')],
  ['`headers.strip`, `timeouts`, `targets`', 'printed'],
  ['`identity: { algorithm: agreed }`', 'signed with ed25519'],
  ['tokens bound to a certificate', 'refused'],
  ['`websockets.maxPerUser`, `uploads.maxPerAddress`', 'counted for a minute'],
  ['`health`, `retry`, `breaker`, `balance`, `minRate`, `headers.security`', "the proxy's own"],
  [
    'tested',
    ({ tested }) => (tested === undefined ? 'configuration generated, not run here' : `on the real ${tested}`),
  ],
];

/** Writes a Markdown table with one row per gateway.yaml key and one column per proxy. */
export function supportTable(): string {
  return [
    ['', ...proxyNames],
    ['---', ...proxyNames.map(() => '---')],
    ...rows.map(([keys, cell]) => [
      keys,
      ...proxyNames.map((name) => (typeof cell === 'string' ? cell : cell(proxies[name]))),
    ]),
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** How one proxy describes the original request. The gateway guesses nothing: it refuses a call in any other form. */
export type Dialect = Pick<Abilities, 'showsBody'> &
  Readonly<{
    /** Headers that the proxy writes, exactly one each. Undefined: the call's own request line or `Host`. */
    method: string | undefined;
    requestTarget: string | undefined;
    host: string;
    scheme: string;
    /** The header with the client's address. In a list, the last address counts, because the proxy itself added it. */
    address: string;
    /** The headers that carry the original `Content-Length` and `Transfer-Encoding` if the body is not sent. */
    framing: Readonly<{ length: string; coding: string }> | undefined;
    /** Names the headers to remove. Other proxies remove those that a response lacks. */
    removal: string | undefined;
    /** Whether the proxy passes on only 401 and 403, so that a header must carry the original status. */
    hidesStatus: boolean;
  }>;

const requestHeaders = {
  method: 'x-countersign-method',
  requestTarget: 'x-countersign-target',
  scheme: 'x-countersign-scheme',
  address: 'x-countersign-address',
};
const framing = { length: 'x-countersign-content-length', coding: 'x-countersign-transfer-encoding' };

/** The headers between the proxy and the gateway. Services never see them. */
export const headersOfCall: readonly string[] = [
  proxySecretHeader,
  ...Object.values(requestHeaders),
  ...Object.values(framing),
  'x-countersign-upgrade',
  'x-countersign-service',
];

const ownNames = { ...requestHeaders, host: 'host', framing, removal: undefined, hidesStatus: false };

const forwardedNames = {
  method: 'x-forwarded-method',
  requestTarget: 'x-forwarded-uri',
  host: 'x-forwarded-host',
  scheme: 'x-forwarded-proto',
  address: 'x-forwarded-for',
  framing: undefined,
  removal: undefined,
  hidesStatus: false,
};

export const dialects: Readonly<Record<ProxyName, Dialect>> = {
  nginx: { ...proxies.nginx, ...ownNames, hidesStatus: true },
  haproxy: { ...proxies.haproxy, ...ownNames, framing: undefined },
  caddy: { ...proxies.caddy, ...forwardedNames },
  traefik: { ...proxies.traefik, ...forwardedNames },
  envoy: {
    ...proxies.envoy,
    ...forwardedNames,
    // Envoy repeats the request line, with `path_prefix` at the start.
    method: undefined,
    requestTarget: undefined,
    host: 'host',
    removal: 'x-envoy-auth-headers-to-remove',
  },
};
