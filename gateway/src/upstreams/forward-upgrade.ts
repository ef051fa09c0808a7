import { type ClientRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { AppError, errorTable } from '../errors.ts';
import { type RequestRecord, type Signed, standingOf } from '../exchange.ts';
import { chosenSubprotocol } from '../stages/subprotocols.ts';
import { answerHeaders, dropLength } from './answer-headers.ts';
import type { Outcome } from './breaker.ts';
import { watchDeclined } from './declined-upgrade.ts';
import type { OpenConnections } from './open-connections.ts';
import type { Upstreams } from './open-upstream.ts';
import { isOutage, type Target } from './target.ts';
import { headerObject, upgradeHeaders } from './upgrade-headers.ts';
import { toUpstreamError } from './upstream-error.ts';
import { tieEnds } from './websocket-ends.ts';

export type ForwardUpgradeOptions = Readonly<{
  upstreams: Upstreams;
  open: OpenConnections;
  /** Answers on the raw socket. Synchronous: http-proxy-middleware ends the socket as soon as an error was reported. */
  refuse(error: AppError, record: RequestRecord, socket: Duplex): void;
}>;

// For the client to read an answer and close its side.
const lingerMs = 2_000;

/** What belongs to one upgrade while http-proxy-middleware, which knows the request only, carries it. */
type Carried = Readonly<{
  signed: Signed;
  target: Target;
  fail(error: unknown): void;
  onConnected(): void;
  /** The service said something, whatever it was. */
  onAnswered(): void;
  onUpgraded(service: Socket): void;
  /** It is not 101, and the client gets it with these headers. */
  onDeclined(answer: IncomingMessage, passing: readonly string[]): void;
}>;

/**
 * Carries a signed upgrade with http-proxy-middleware. It is called after the pipeline and never subscribes to the server's
 * `upgrade` event (its `ws: true` does, and then no rule of ours is asked), and it sees the signed headers in place of
 * the client's. An answer other than 101 is passed on and ends the connection: bytes that the client sent after it are
 * never relayed (websocket smuggling). Upgrades count for the target's health and the circuit breaker, and are never tried twice.
 *
 * The promise settles when the connection is over. Once it has begun failures are answered here, since the socket does not wait. Before that
 * the stage throws AppError `upstream_circuit_open`, `upstream_overloaded`.
 */
export function createForwardUpgrade(
  options: ForwardUpgradeOptions,
): (signed: Signed, socket: Duplex, head: Buffer) => Promise<void> {
  const carriedBy = new WeakMap<IncomingMessage, Carried>();
  const proxies = new WeakMap<Target, ReturnType<typeof proxyTo>>();

  function proxyOf(target: Target) {
    let proxy = proxies.get(target);
    if (proxy === undefined) {
      proxy = proxyTo(target, carriedBy);
      proxies.set(target, proxy);
    }
    return proxy;
  }

  return async (signed, socket, head) => {
    // Nobody would hear of its end.
    if (socket.destroyed) return;
    const { request, record, caller, outbound, route } = signed;
    const upstream = options.upstreams.of(route.upstream);
    const permit = upstream.admit();
    let isSettled = false;
    const settle = (outcome: Outcome) => {
      if (!isSettled) upstream.settle(permit, outcome);
      isSettled = true;
    };
    let target: Target;
    try {
      target = upstream.choose();
    } catch (refusal) {
      settle('neutral');
      throw refusal;
    }
    target.pending += 1;
    const noMoreExpected = target.expectAnswer();
    record.target = target.origin;
    record.attempts = 1;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    let isConnected = false;
    let isAnswered = false;
    let isBegun = false;
    let isOver = false;
    carriedBy.set(request, {
      signed,
      target,
      fail(error) {
        if (isOver || socket.destroyed) return;
        isOver = true;
        const failure = toUpstreamError(error, {
          upstream: upstream.upstream.name,
          target: target.origin,
          isConnected,
        });
        if (isAnswered) target.broke(failure.code);
        else target.failed(failure.code);
        settle(isOutage(failure.code) ? 'failure' : 'neutral');
        if (!isBegun) {
          options.refuse(failure, record, socket);
          return;
        }
        // Another answer would be read as the rest of the one that broke off.
        record.code = failure.code;
        record.fault = errorTable[failure.code].fault;
        socket.destroy();
      },
      onConnected() {
        isConnected = true;
      },
      onAnswered() {
        isAnswered = true;
        noMoreExpected();
        target.succeeded();
        settle('success');
      },
      onUpgraded(service) {
        isOver = true;
        const end = tieEnds(socket as Socket, service);
        const release = options.open.addEndless({ route, token: standingOf(caller) }, end);
        signed.detach();
        socket.once('close', release);
      },
      onDeclined(answer, passing) {
        isBegun = true;
        watchDeclined(answer, passing, { signed, socket: socket as Socket, open: options.open });
      },
    });
    request.url = outbound.target;
    request.headers = upgradeHeaders(outbound.headers, target.host);
    proxyOf(target).upgrade(request, socket as Socket, head);
    await closed;
    target.pending -= 1;
    noMoreExpected();
    settle('neutral');
  };
}

/** For one target, since an agent cannot be chosen for each request. */
function proxyTo(target: Target, carriedBy: WeakMap<IncomingMessage, Carried>) {
  return createProxyMiddleware<IncomingMessage>({
    target: target.origin,
    agent: agentFor(target),
    // Its own plugins log to the console and answer errors in their own words.
    ejectPlugins: true,
    plugins: [
      (server) => {
        server.on('error', (error, request) => request && carriedBy.get(request)?.fail(error));
        server.on('proxyReqWs', (outgoing, request, socket) => {
          const carried = carriedBy.get(request);
          if (carried === undefined) outgoing.destroy();
          else watchAnswer(outgoing, socket, carried);
        });
      },
    ],
  });
}

/** Opens connections as requests do: the same time limit, the same certificates. */
function agentFor({ origin, connect }: Target): HttpAgent {
  const { protocol, hostname, host, port } = new URL(origin);
  const agent = protocol === 'https:' ? new HttpsAgent({ keepAlive: false }) : new HttpAgent({ keepAlive: false });
  // What went wrong is heard from the socket.
  agent.createConnection = () =>
    connect({ protocol, hostname: hostname.replace(/^\[|\]$/g, ''), host, port }, () => {});
  return agent;
}

/** Sees the service's answer before http-proxy-middleware does, which only then hangs its own listeners on the request. */
function watchAnswer(outgoing: ClientRequest, socket: Socket, { signed, target, fail, ...told }: Carried): void {
  const { route, record } = signed;
  const sentAt = performance.now();
  const timer = setTimeout(
    () => outgoing.destroy(new AppError('upstream_timeout')),
    route.upstream.timeouts.responseMs,
  );
  const giveUp = () => outgoing.destroy();
  socket.once('close', giveUp);

  const begin = (answer: IncomingMessage) => {
    clearTimeout(timer);
    told.onAnswered();
    socket.off('close', giveUp);
    record.upstreamMs = performance.now() - sentAt;
    const { passing, identityRefused } = answerHeaders(answer.rawHeaders, signed);
    if (answer.statusCode === 101 || answer.statusCode === 204) dropLength(passing);
    answer.headers = headerObject([...passing, 'x-request-id', record.requestId]);
    return { passing, identityRefused };
  };
  outgoing.once('close', () => clearTimeout(timer));
  outgoing.once('socket', (service: Socket) => {
    service.once(target.origin.startsWith('https:') ? 'secureConnect' : 'connect', told.onConnected);
  });
  outgoing.once('response', (answer: IncomingMessage) => {
    const framing = answer.headers['transfer-encoding'];
    const { passing, identityRefused } = begin(answer);
    const upstream = { upstream: route.upstream.name, target: target.origin };
    record.status = answer.statusCode ?? 502;
    if (answer.statusCode === 401 && identityRefused !== undefined) {
      fail(new AppError('identity_refused', { detail: { ...upstream, reason: identityRefused.slice(0, 64) } }));
      return;
    }
    if (answer.statusCode === 101) {
      fail(new AppError('upstream_invalid_response', { detail: { ...upstream, reason: '101 without an upgrade' } }));
      socket.destroySoon();
      return;
    }
    told.onDeclined(answer, passing);
    if (framing !== undefined) answer.headers['transfer-encoding'] = framing;
    // What the client still sends goes nowhere; unread, it would keep the socket open for ever.
    socket.resume();
    socket.once('finish', () => endAfter(socket, lingerMs));
  });
  outgoing.once('upgrade', (answer: IncomingMessage, service: Socket) => {
    const protocol = answer.headers.upgrade?.toLowerCase();
    begin(answer);
    if (protocol !== 'websocket') {
      service.destroy();
      fail(new AppError('upstream_invalid_response', { detail: { reason: 'another protocol' } }));
      socket.destroySoon();
      return;
    }
    const subprotocol = chosenSubprotocol(answer.headers['sec-websocket-protocol'], signed.upgrade);
    if (subprotocol === undefined) {
      service.destroy();
      fail(new AppError('upstream_invalid_response', { detail: { reason: 'a subprotocol that was not offered' } }));
      socket.destroySoon();
      return;
    }
    record.status = 101;
    answer.headers = { ...answer.headers, ...subprotocol, connection: 'Upgrade', upgrade: 'websocket' };
    told.onUpgraded(service);
  });
}

function endAfter(socket: Socket, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(timer));
}
