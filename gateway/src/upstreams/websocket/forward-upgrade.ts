import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { type AppError, errorTable } from '../../errors.ts';
import { type RequestRecord, type Signed, tokenStatusOf } from '../../exchange.ts';
import type { Outcome } from '../pool/breaker.ts';
import type { OpenConnections } from '../pool/open-connections.ts';
import type { Upstreams } from '../pool/open-upstream.ts';
import { isOutage, type Target } from '../pool/target.ts';
import { toUpstreamError } from '../pool/upstream-error.ts';
import { watchDeclined } from './declined-upgrade.ts';
import { upgradeHeaders } from './upgrade-headers.ts';
import { type Carried, watchUpgradeAnswer } from './upgrade-response.ts';
import { tieEnds } from './websocket-ends.ts';

export type ForwardUpgradeOptions = Readonly<{
  upstreams: Upstreams;
  open: OpenConnections;
  /** Answers on the raw socket. Synchronous: http-proxy-middleware ends the socket as soon as an error was reported. */
  refuse(error: AppError, record: RequestRecord, socket: Duplex): void;
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
        const end = tieEnds(socket as Socket, service, route.upstream.timeouts.idleMs);
        const release = options.open.addEndless({ route, token: tokenStatusOf(caller) }, end);
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
          else watchUpgradeAnswer(outgoing, socket, carried);
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
