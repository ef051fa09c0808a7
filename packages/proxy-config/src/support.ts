/** What a proxy sends about a request when it asks the gateway, and what it passes on from the response. */
export type Abilities = Readonly<{
  /** Whether the proxy sends the body to the gateway, so that the signature can cover it. */
  showsBody: boolean;
  /** Whether the gateway learns the original request's `Content-Length` and `Transfer-Encoding`. */
  showsLength: boolean;
  /** Whether the response headers for an allowed request reach the client. */
  passesHeaders: boolean;
  /**
   * Whether the proxy sends the signed request target unchanged. Otherwise it rewrites the target by its own rules.
   */
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
  ['`forward`, `senderConstrained`, `txnToken`', 'done'],
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
