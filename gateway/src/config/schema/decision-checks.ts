import { type ProxyName, proxies } from '@countersign/proxy-config';
import { isLoopbackHost } from '@countersign/service-kit';
import type { IsMalformed, Refuse } from './cross-checks.ts';
import { type DecisionAddress, type DecisionPieces, isSocket } from './decision.ts';
import type { RoutePieces } from './routes.ts';

type File = Readonly<{
  decision?: DecisionPieces | undefined;
  address?: DecisionAddress | undefined;
  hasTls: boolean;
  hasNonces: boolean;
  upstreams: readonly string[];
  routes: readonly RoutePieces[];
}>;

/** Checks `decision` and `listen.decision`, and that the proxy supports every feature that the routes use. */
export function checkDecision(file: File, isMalformed: IsMalformed, refuse: Refuse): void {
  const { decision: part, address, routes, hasNonces, upstreams } = file;
  if (part === undefined) {
    if (address !== undefined && !isMalformed('decision'))
      refuse(['listen', 'decision'], 'needs "decision", which names the proxy');
    checkUnused(routes, refuse);
    return;
  }
  if (address === undefined) {
    if (!isMalformed('listen', 'decision')) refuse(['decision'], 'needs "listen.decision", the address to listen on');
  } else checkProof(part, address, file.hasTls, refuse);
  const { proxy } = part;
  if (proxy === undefined) return;
  if (hasNonces && !proxies[proxy].passesHeaders) {
    refuse(['dpop', 'nonces'], `cannot be used with ${proxy}, which does not pass DPoP-Nonce on to the client`);
  }
  for (const name of upstreams.filter((one) => one.startsWith('countersign-')))
    refuse(['upstreams', name], `is a reserved name in the ${proxy} file`);
  for (const [index, route] of routes.entries())
    checkRoute(route, proxy, (at, message) => refuse(['routes', index, ...at], message));
}

function checkProof(part: DecisionPieces, address: DecisionAddress, hasTls: boolean, refuse: Refuse): void {
  const { proxy, trust, clientCa, group } = part;
  const hasSecret = part.secret !== undefined || part.secretFile !== undefined;
  if (proxy === 'traefik' && hasSecret) {
    refuse(
      ['decision', 'secret'],
      'cannot be used with traefik, which cannot add a header to its request: use clientCa',
    );
  }
  if (proxy === 'haproxy' && clientCa !== undefined)
    refuse(['decision', 'clientCa'], 'cannot be used with haproxy, which shows no certificate: use secret');
  if (clientCa !== undefined && !hasTls)
    refuse(['decision', 'clientCa'], 'needs "listen.tls": the proxy connects over TLS');
  if (clientCa !== undefined && isSocket(address))
    refuse(['decision', 'clientCa'], 'works only with a TCP address; a Unix socket needs no other proof');
  if (group !== undefined && !isSocket(address)) refuse(['decision', 'group'], 'works only with a Unix socket');
  if (trust === 'loopback' && !isSocket(address) && !isLoopbackHost(address.host))
    refuse(['decision', 'trust'], 'loopback needs a loopback address in "listen.decision"');
  if (trust !== 'none' || hasSecret || clientCa !== undefined || isSocket(address)) return;
  refuse(
    ['decision'],
    'needs proof that requests come from the proxy: set "secret" or "clientCa", or use a Unix socket',
    {
      absent: 'secret',
    },
  );
}

// A message holds 4 MiB. This leaves 64 KiB for the headers.
const maxChecked = (4096 - 64) * 1024;

/** Refuses what the proxy cannot do for this route, or can do only if the body is not signed. */
function checkRoute(route: RoutePieces, proxy: ProxyName, refuse: Refuse): void {
  const { auth, methods = [], body, websocket, longLived } = route;
  if (auth === 'service' || auth === undefined || body === undefined) return;
  if (methods.includes('OPTIONS'))
    refuse(['methods'], `OPTIONS is not possible, because ${proxy} sends preflights to the public listener`);
  const takesBody = methods.some((method) => method !== 'GET' && method !== 'HEAD');
  if (takesBody && body.mode === 'digest' && !proxies[proxy].showsBody) {
    const how = 'body: { mode: stream, unsigned: accept } forwards it unsigned';
    refuse(['body'], `${proxy} does not show the body, so it cannot be signed: ${how}`);
  }
  if (takesBody && body.mode === 'digest' && proxy === 'envoy' && (body.maxBytes ?? 0) > maxChecked)
    refuse(['body', 'maxBytes'], 'must be at most 4032KiB: envoy sends the body in a gRPC message of at most 4 MiB');
  if (takesBody && body.mode === 'stream' && body.unsigned !== 'accept') {
    refuse(['body'], `a streamed body is not signed, so a faulty ${proxy} could replace it: add unsigned: accept`);
  }
  if (takesBody && body.mode === 'none' && !proxies[proxy].showsLength) {
    refuse(['body'], `${proxy} does not show whether there is a body, so mode none needs methods: [GET]`);
  }
  if ((websocket === true || (takesBody && body.mode === 'stream')) && longLived !== 'accept') {
    refuse(
      [],
      `needs longLived: accept, because ${proxy} does not close the connection when the token expires or is revoked`,
    );
  }
}

/** Refuses route keys that only make sense with a proxy. */
function checkUnused(routes: readonly RoutePieces[], refuse: Refuse): void {
  for (const [index, { longLived, body }] of routes.entries()) {
    if (longLived !== undefined) refuse(['routes', index, 'longLived'], 'needs "decision"');
    if (body?.unsigned !== undefined) refuse(['routes', index, 'body', 'unsigned'], 'needs "decision"');
  }
}
