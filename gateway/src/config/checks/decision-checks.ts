import { isLoopbackHost } from '@countersign/process-kit';
import { type ProxyName, proxies } from '@countersign/proxy-config';
import { type DecisionAddress, type DecisionPart, isSocket } from '../schema/listen.ts';
import { below, type CheckedFile, type Refuse, type RoutePieces } from './cross-checks.ts';

/** Checks `decision` and `listen.decision`, and that the proxy supports every feature that the routes use. */
export function checkDecision(file: CheckedFile, refuse: Refuse): void {
  const { decision: part, listen, dpop, upstreams, routes, isMalformed } = file;
  const address = listen.decision;
  if (part === undefined) {
    if (address !== undefined && !isMalformed('decision'))
      refuse(['listen', 'decision'], 'needs "decision", which names the proxy');
    checkUnused(routes, refuse);
    return;
  }
  if (address === undefined) {
    if (!isMalformed('listen', 'decision')) refuse(['decision'], 'needs "listen.decision", the address to listen on');
  } else checkProof(part, address, listen.tls !== undefined, refuse);
  const { proxy } = part;
  if (dpop?.nonces !== undefined && !proxies[proxy].passesHeaders) {
    refuse(['dpop', 'nonces'], `cannot be used with ${proxy}, which does not pass DPoP-Nonce on to the client`);
  }
  for (const name of Object.keys(upstreams).filter((one) => one.startsWith('countersign-')))
    refuse(['upstreams', name], `is a reserved name in the ${proxy} file`);
  for (const [name, { identity }] of Object.entries(upstreams)) {
    const message = `must have only letters, digits and hyphens, so that ${proxy} can copy it from the decision`;
    if (!/^[a-z0-9-]*$/.test(identity?.token?.header ?? '')) {
      refuse(['upstreams', name, 'identity', 'token', 'header'], message);
    }
  }
  for (const [index, route] of routes.entries()) checkRoute(route, proxy, below(refuse, 'routes', index));
}

function checkProof(part: DecisionPart, address: DecisionAddress, hasTls: boolean, refuse: Refuse): void {
  const { proxy, trust, clientCa, group } = part;
  const hasSecret = part.secret !== undefined || part.secretFile !== undefined;
  if (proxy === 'traefik' && hasSecret) {
    const message = 'cannot be used with traefik, which cannot add a header to its request: use clientCa';
    refuse(['decision', 'secret'], message);
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
  const message = 'needs proof that requests come from the proxy: set "secret" or "clientCa", or use a Unix socket';
  refuse(['decision'], message, { absent: 'secret' });
}

// A message holds 4 MiB. This leaves 64 KiB for the headers.
const maxChecked = (4096 - 64) * 1024;

function checkRoute(route: RoutePieces, proxy: ProxyName, refuse: Refuse): void {
  const { auth, methods = [], body, websocket, longLived } = route;
  if (auth === 'service' || auth === undefined || body === undefined) return;
  if (methods.includes('OPTIONS'))
    refuse(['methods'], `OPTIONS is not possible, because ${proxy} sends preflights to the public listener`);
  const takesBody = methods.some((method) => method !== 'GET' && method !== 'HEAD');
  if (takesBody && body.mode === 'digest' && proxy === 'envoy' && (body.maxBytes ?? 0) > maxChecked)
    refuse(['body', 'maxBytes'], 'must be at most 4032KiB: envoy sends the body in a gRPC message of at most 4 MiB');
  const { showsBody, showsLength } = proxies[proxy];
  const reason =
    takesBody &&
    ((body.mode === 'digest' && !showsBody && `${proxy} does not show the body, so it cannot be signed`) ||
      (body.mode === 'none' && !showsLength && `${proxy} does not show whether there is a body`) ||
      (body.mode === 'stream' &&
        (body.unsigned !== 'accept' || longLived !== 'accept') &&
        `a streamed body is not signed, and ${proxy} does not end the request when its token ends`));
  if (reason) {
    const size = body.maxBytes === undefined || body.maxBytes === 1024 ** 2 ? '' : `, maxBytes: ${body.maxBytes}`;
    const accepted = `body: { mode: stream, unsigned: accept${size} }, longLived: accept`;
    refuse(['body'], `${reason}. If the proxy may send unsigned bodies, write on the route: ${accepted}`);
  } else if (websocket === true && longLived !== 'accept') {
    const why = `${proxy} does not close the connection when the token expires or is revoked`;
    refuse([], `needs longLived: accept, because ${why}`);
  }
}

function checkUnused(routes: readonly RoutePieces[], refuse: Refuse): void {
  for (const [index, { longLived, body }] of routes.entries()) {
    if (longLived !== undefined) refuse(['routes', index, 'longLived'], 'needs "decision"');
    if (body?.unsigned !== undefined) refuse(['routes', index, 'body', 'unsigned'], 'needs "decision"');
  }
}
