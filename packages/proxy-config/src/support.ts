/** What a proxy tells of a request when it asks, and what it passes on of the answer. */
export type Abilities = Readonly<{
  /** The body is sent with the question, so the signature can cover it. */
  showsBody: boolean;
  /** `Content-Length` and `Transfer-Encoding` of the original request are known. */
  showsLength: boolean;
  /** Response headers of an allowed request reach the client. */
  passesHeaders: boolean;
  /** The target that was signed is sent as it is. Otherwise the proxy rewrites it by its own rules. */
  takesRequestTarget: boolean;
  /** The version in front of which the suite runs. Undefined: the configuration is generated, not run here. */
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

type Cell = (proxy: Abilities) => string;
const everywhere =
  (text: string): Cell =>
  () =>
    text;

/** What becomes of each key of gateway.yaml behind a proxy. */
const rows: readonly (readonly [keys: string, cell: Cell])[] = [
  ['`publicOrigins`, `trustedProxies`, `issuers`, `identity`', everywhere('done')],
  ['`path`, `methods`, `auth`, `allow`', everywhere('done')],
  ['`limits`', everywhere('done, by decision')],
  ['`forward`, `senderConstrained`, `txnToken`', everywhere('done')],
  ['`rewrite`', ({ takesRequestTarget }) => (takesRequestTarget ? 'done' : 'printed')],
  ['`body: { mode: digest }`', ({ showsBody }) => (showsBody ? 'done' : 'refused')],
  ['`body: { mode: stream }`', everywhere('needs `unsigned: accept`')],
  ['`maxBytes` of a stream', everywhere('the largest of all routes')],
  ['`body: { mode: none }`', ({ showsLength }) => (showsLength ? 'done' : 'refused, but for GET')],
  ['`websocket`, streams', everywhere('needs `longLived: accept`')],
  ['`dpop.nonces`', ({ passesHeaders }) => (passesHeaders ? 'done' : 'refused')],
  ['`cors`: preflights', everywhere('printed')],
  ['`cors`: responses', ({ passesHeaders }) => (passesHeaders ? 'done' : 'printed')],
  ['headers of `limits`', ({ passesHeaders }) => (passesHeaders ? 'done' : 'refusals only')],
  ['`headers.strip`, `timeouts`, `targets`', everywhere('printed')],
  ['`identity: { algorithm: agreed }`', everywhere('signed with ed25519')],
  ['tokens bound to a certificate', everywhere('refused')],
  ['`websockets.maxPerUser`, `uploads.maxPerAddress`', everywhere('counted for a minute')],
  ['`health`, `retry`, `breaker`, `balance`, `minRate`, `headers.security`', everywhere("the proxy's own")],
  [
    'tested',
    ({ tested }) => (tested === undefined ? 'configuration generated, not run here' : `on the real ${tested}`),
  ],
];

/** A Markdown table: a key of gateway.yaml a row, a proxy a column. */
export function supportTable(): string {
  return [
    ['', ...proxyNames],
    ['---', ...proxyNames.map(() => '---')],
    ...rows.map(([keys, cell]) => [keys, ...proxyNames.map((name) => cell(proxies[name]))]),
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
