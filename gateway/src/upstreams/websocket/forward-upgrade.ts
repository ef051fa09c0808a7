import { Agent as HttpAgent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyMiddleware } from 'http-proxy-middleware';
import type { AppError } from '../../errors.ts';
import { type Signed, tokenStatusOf } from '../../pipeline/exchange.ts';
import { type RequestRecord, recordFailure } from '../../pipeline/request-record.ts';
import type { OpenConnections } from '../pool/open-connections.ts';
import type { OpenUpstreams } from '../pool/open-upstream.ts';
import { isOutage, type Target, TargetCounts } from '../pool/target.ts';
import { toUpstreamError } from '../pool/upstream-error.ts';
import { linkSockets } from './link-sockets.ts';
import { followDeclined, handleUpgradeResponse, type UpgradeAttempt } from './upgrade-response.ts';

export type ForwardUpgradeOptions = Readonly<{
  upstreams: OpenUpstreams;
  open: OpenConnections;
  /**
   * Responds on the raw socket. Synchronous: http-proxy-middleware closes the socket right after it reports an error.
   */
  refuse(error: AppError, record: RequestRecord, socket: Duplex): void;
}>;

/**
 * Forwards a signed upgrade with http-proxy-middleware. The middleware is called after the pipeline and never
 * subscribes to the server's `upgrade` event: its `ws: true` would bypass every rule. It sees the signed headers
 * instead of the client's. A response other than 101 is forwarded and ends the connection: bytes that the client sent
 * after its request are never relayed (WebSocket smuggling). Upgrades count for the target's health and the circuit
 * breaker, and are never retried.
 *
 * The promise settles when the connection is over. Later failures are handled here, because the socket does not wait.
 * Before that the stage throws AppError `upstream_circuit_open`, `upstream_overloaded`.
 */
export function createForwardUpgrade(
  options: ForwardUpgradeOptions,
): (signed: Signed, request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void> {
  const attempts = new WeakMap<IncomingMessage, UpgradeAttempt>();
  const proxies = new WeakMap<Target, ReturnType<typeof proxyTo>>();

  function proxyOf(target: Target) {
    let proxy = proxies.get(target);
    if (proxy === undefined) {
      proxy = proxyTo(target, attempts);
      proxies.set(target, proxy);
    }
    return proxy;
  }

  return async (signed, request, socket, head) => {
    // A closed socket emits no further event.
    if (socket.destroyed) return;
    const { record, caller, outbound, route } = signed;
    const upstream = options.upstreams.of(route.upstream);
    const permit = upstream.admit();
    let target: Target;
    try {
      target = upstream.choose();
    } catch (refusal) {
      permit.settle('neutral');
      throw refusal;
    }
    const counts = new TargetCounts(target, 'upgrades');
    counts.awaitResponse();
    record.target = target.origin;
    record.attempts = 1;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    let isConnected = false;
    let hasResponded = false;
    let isBegun = false;
    let isDone = false;
    attempts.set(request, {
      signed,
      target,
      fail(error) {
        if (isDone || socket.destroyed) return;
        isDone = true;
        const failure = toUpstreamError(error, {
          upstream: upstream.upstream.name,
          target: target.origin,
          isConnected,
        });
        if (hasResponded) target.responseBroke(failure.code);
        else target.failed(failure.code);
        permit.settle(isOutage(failure.code) ? 'failure' : 'neutral');
        if (!isBegun) {
          options.refuse(failure, record, socket);
          return;
        }
        // Part of a response was sent: an error would be read as the rest of it.
        recordFailure(record, failure);
        socket.destroy();
      },
      onConnected() {
        isConnected = true;
      },
      onResponse() {
        hasResponded = true;
        counts.answered();
        target.health.responded();
        permit.settle('success');
      },
      onUpgraded(service) {
        isDone = true;
        target.succeeded();
        const end = linkSockets(socket as Socket, service, route.upstream.timeouts.idleMs);
        const release = options.open.add('endless', { route, token: tokenStatusOf(caller) }, end);
        signed.detach();
        socket.once('close', release);
      },
      onDeclined(response, lifetime) {
        isBegun = true;
        target.succeeded();
        followDeclined(response, lifetime, { signed, socket: socket as Socket, open: options.open });
      },
    });
    request.url = outbound.target;
    request.headers = upgradeHeaders(outbound.headers, target.host);
    proxyOf(target).upgrade(request, socket as Socket, head);
    await closed;
    counts.end();
    permit.settle('neutral');
  };
}

/** One proxy per target, since the agent cannot be chosen per request. */
function proxyTo(target: Target, attempts: WeakMap<IncomingMessage, UpgradeAttempt>) {
  return createProxyMiddleware<IncomingMessage>({
    target: target.origin,
    agent: agentFor(target),
    // The default plugins log to the console and write responses of their own.
    ejectPlugins: true,
    plugins: [
      (server) => {
        server.on('error', (error, request) => request && attempts.get(request)?.fail(error));
        server.on('proxyReqWs', (outgoing, request, socket) => {
          const carried = attempts.get(request);
          if (carried === undefined) outgoing.destroy();
          else handleUpgradeResponse(outgoing, socket, carried);
        });
      },
    ],
  });
}

/** Connects like requests do: with the same timeout and certificates. */
function agentFor({ origin, opener }: Target): HttpAgent {
  const agent = origin.startsWith('https:')
    ? new HttpsAgent({ keepAlive: false })
    : new HttpAgent({ keepAlive: false });
  // Errors arrive on the socket.
  agent.createConnection = () => opener.openUnread();
  return agent;
}

/** The signed headers as Node's client takes them, with those of an upgrade. */
function upgradeHeaders(headers: readonly string[], host: string): IncomingHttpHeaders {
  const written: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    const value = headers[at + 1] ?? '';
    const before = written[name];
    written[name] = before === undefined ? value : [before, value].flat();
  }
  // These hop-by-hop headers were dropped on the way in; this hop needs its own.
  return { ...written, host, connection: 'Upgrade', upgrade: 'websocket' };
}
