import { type ClientRequest, Agent as HttpAgent, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { destroyLater } from '@countersign/process-kit';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { AppError } from '../../errors.ts';
import { chosenSubprotocol } from '../../http/websocket-handshake.ts';
import { type Signed, tokenStatusOf } from '../../pipeline/exchange.ts';
import { type RequestRecord, recordFailure } from '../../pipeline/request-record.ts';
import { filterHeaders, type ResponseHeaders } from '../forward/client-response.ts';
import type { EndConnection, LongLivedConnections } from '../pool/long-lived-connections.ts';
import type { OpenUpstreams, Permit } from '../pool/open-upstream.ts';
import { type Target, TargetCounts } from '../pool/target.ts';
import { isOutage, toUpstreamError } from '../pool/upstream-error.ts';
import { linkSockets } from './link-sockets.ts';

export type ForwardUpgradeOptions = Readonly<{
  upstreams: OpenUpstreams;
  open: LongLivedConnections;
  /** Must be synchronous: http-proxy-middleware closes the socket right after it reports an error. */
  refuse(error: AppError, record: RequestRecord, socket: Duplex): void;
}>;

/**
 * Forwards a signed upgrade with http-proxy-middleware. The gateway calls the middleware after the pipeline and never
 * lets it subscribe to the server's `upgrade` event, because its `ws: true` would bypass every rule. The middleware
 * sees the signed headers instead of the client's. A response other than 101 is forwarded and ends the connection:
 * bytes that the client sent after its request are never relayed (WebSocket smuggling). Upgrades count towards the
 * target's health and the circuit breaker, and are never retried.
 *
 * The promise settles when the connection is over. Before the service responds, the stage throws AppError
 * `upstream_circuit_open` and `upstream_overloaded`. Later failures are handled here, because the socket does not
 * wait.
 */
export const createForwardUpgrade =
  (options: ForwardUpgradeOptions) =>
  async (signed: Signed, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    // A closed socket emits no further events.
    if (socket.destroyed) return;
    const upstream = options.upstreams.of(signed.route.upstream);
    const permit = upstream.admit();
    try {
      const target = upstream.choose();
      await new UpgradeAttempt({ ...options, signed, socket: socket as Socket, target, permit }).relay(request, head);
    } finally {
      permit.settle('neutral');
    }
  };

type Upgrading = Pick<ForwardUpgradeOptions, 'open' | 'refuse'> &
  Readonly<{ signed: Signed; socket: Socket; target: Target; permit: Permit }>;

/** One upgrade. Handles the service's response before http-proxy-middleware, which attaches its listeners later. */
class UpgradeAttempt {
  readonly #upgrading: Upgrading;
  readonly #counts: TargetCounts;
  /** `declined`: the client gets a response other than 101. `over`: it has a WebSocket or an error. */
  #progress: 'unsent' | 'sent' | 'responded' | 'declined' | 'over' = 'unsent';
  #sentAt = 0;

  constructor(upgrading: Upgrading) {
    this.#upgrading = upgrading;
    this.#counts = new TargetCounts(upgrading.target, 'upgrades');
  }

  /** Settles when the client's connection is over. */
  async relay(request: IncomingMessage, head: Buffer): Promise<void> {
    const { signed, socket, target } = this.#upgrading;
    const { record, outbound } = signed;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    this.#counts.requestComplete();
    record.target = target.origin;
    record.attempts = 1;
    record.trace?.startAttempt(target.origin);
    request.url = outbound.requestTarget;
    // The client's hop-by-hop headers were dropped, and the connection to the service needs its own.
    const ownHeaders = { host: target.host, connection: 'Upgrade', upgrade: 'websocket' };
    request.headers = { ...headerObject(outbound.headers), ...ownHeaders };
    this.#proxy().upgrade(request, socket, head);
    await closed;
    this.#counts.end();
  }

  #proxy() {
    const { target } = this.#upgrading;
    return createProxyMiddleware<IncomingMessage>({
      target: target.origin,
      agent: agentFor(target),
      // The default plugins log to the console and write their own responses.
      ejectPlugins: true,
      plugins: [
        (server) => {
          server.on('error', (error) => this.#fail(error));
          server.on('proxyReqWs', (outgoing) => this.#await(outgoing));
        },
      ],
    });
  }

  #await(outgoing: ClientRequest): void {
    const { signed, socket, target } = this.#upgrading;
    this.#sentAt = performance.now();
    const timer = setTimeout(
      () => outgoing.destroy(new AppError('upstream_timeout')),
      signed.route.upstream.timeouts.responseMs,
    );
    const giveUp = () => outgoing.destroy();
    const onResponse = () => {
      clearTimeout(timer);
      socket.off('close', giveUp);
    };
    socket.once('close', giveUp);
    outgoing
      .once('close', () => clearTimeout(timer))
      .once('response', onResponse)
      .once('upgrade', onResponse)
      .once('response', (response: IncomingMessage) => this.#decline(response))
      .once('upgrade', (response: IncomingMessage, service: Socket) => this.#upgrade(response, service))
      .once('socket', (service: Socket) => {
        service.once(target.origin.startsWith('https:') ? 'secureConnect' : 'connect', () => {
          this.#progress = 'sent';
        });
      });
  }

  /** Replaces the response headers with those for the client. */
  #receive(response: IncomingMessage): ResponseHeaders {
    const { signed, target, permit } = this.#upgrading;
    this.#progress = 'responded';
    this.#counts.responseBegan('long');
    if (target.health.failures > 0) target.health.responded();
    permit.settle('success');
    signed.record.upstreamMs = performance.now() - this.#sentAt;
    signed.record.trace?.endAttempt(response.statusCode);
    const headers = filterHeaders(response.statusCode ?? 502, response.rawHeaders, signed, target.origin);
    response.headers = headerObject([...headers.passing, 'x-request-id', signed.record.requestId]);
    return headers;
  }

  /**
   * Forwards a response other than 101. It may be endless: a service without WebSocket support may send an event
   * stream. So, like every response, it ends with its token or route, and after the idle timeout. The client sees its
   * connection close, because it already has the response head.
   */
  #decline(response: IncomingMessage): void {
    const { signed, socket, target, open } = this.#upgrading;
    const { record, route, caller } = signed;
    const framing = response.headers['transfer-encoding'];
    const { refusal, lifetime } = this.#receive(response);
    record.status = response.statusCode ?? 502;
    if (refusal !== undefined) {
      this.#fail(refusal);
      return;
    }
    if (response.statusCode === 101) {
      this.#failInvalid('101 without an Upgrade header');
      return;
    }
    this.#progress = 'declined';
    target.succeeded();
    const end: EndConnection = (reason) => {
      if (reason !== undefined) recordFailure(record, reason);
      socket.destroy();
    };
    response.setTimeout(route.upstream.timeouts.idleMs, () => end(new AppError('upstream_timeout')));
    socket.once('close', open.add(lifetime, { route, token: tokenStatusOf(caller) }, end));
    record.isStream = lifetime === 'endless';
    if (record.isStream) signed.detach();
    if (framing !== undefined) response.headers['transfer-encoding'] = framing;
    // Discards what the client still sends, because unread bytes would keep the socket open.
    socket.resume();
    socket.once('finish', () => destroyLater(socket));
  }

  #upgrade(response: IncomingMessage, service: Socket): void {
    const { signed, socket, target, open } = this.#upgrading;
    const { record, route, caller, upgrade } = signed;
    const protocol = response.headers.upgrade?.toLowerCase();
    this.#receive(response);
    const subprotocol = chosenSubprotocol(response.headers['sec-websocket-protocol'], upgrade);
    if (protocol !== 'websocket' || subprotocol === undefined) {
      service.destroy();
      this.#failInvalid(
        protocol === 'websocket'
          ? 'the service chose a subprotocol that was not offered'
          : 'the service switched to another protocol',
      );
      return;
    }
    record.status = 101;
    record.isStream = true;
    response.headers = { ...response.headers, ...subprotocol, connection: 'Upgrade', upgrade: 'websocket' };
    this.#progress = 'over';
    target.succeeded();
    const end = linkSockets(socket, service, route.upstream.timeouts.idleMs);
    socket.once('close', open.add('endless', { route, token: tokenStatusOf(caller) }, end));
    signed.detach();
  }

  #failInvalid(reason: string): void {
    this.#fail(new AppError('upstream_invalid_response', { detail: { ...this.#where(), reason } }));
    this.#upgrading.socket.destroySoon();
  }

  #fail(error: unknown): void {
    const { signed, socket, target, permit, refuse } = this.#upgrading;
    const progress = this.#progress;
    if (progress === 'over' || socket.destroyed) return;
    this.#progress = 'over';
    const failure = toUpstreamError(error, { ...this.#where(), isConnected: progress !== 'unsent' });
    target.failed(failure, progress === 'declined' ? 'responded' : progress);
    permit.settle(isOutage(failure.code) ? 'failure' : 'neutral');
    signed.record.trace?.endAttempt(undefined, failure.code);
    if (progress !== 'declined') {
      refuse(failure, signed.record, socket);
      return;
    }
    // Part of a response was sent, so the client would read an error as the rest of that response.
    recordFailure(signed.record, failure);
    socket.destroy();
  }

  #where() {
    return { upstream: this.#upgrading.signed.route.upstream.name, target: this.#upgrading.target.origin };
  }
}

/** Creates an agent that connects like requests do, with the same timeout and certificates. */
function agentFor({ origin, opener }: Target): HttpAgent {
  const agent = origin.startsWith('https:')
    ? new HttpsAgent({ keepAlive: false })
    : new HttpAgent({ keepAlive: false });
  // Errors arrive on the socket.
  agent.createConnection = () => opener.openUnread();
  return agent;
}

/** @param flat Alternating names and values. Repeated names become a list. */
function headerObject(flat: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let at = 0; at < flat.length; at += 2) {
    const name = (flat[at] ?? '').toLowerCase();
    const value = flat[at + 1] ?? '';
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
