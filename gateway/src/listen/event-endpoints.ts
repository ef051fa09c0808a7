import type { IncomingMessage, ServerResponse } from 'node:http';
import { addressKey, discardBody } from '@countersign/process-kit';
import * as signals from '@countersign/signals';
import { AppError } from '../errors.ts';
import type { EventReceiver } from '../events/event-receiver.ts';
import type { LocalLimiter } from '../limits/limiter.ts';
import type { ClientAddress } from '../pipeline/client-address.ts';
import type { RequestRecord } from '../pipeline/request-record.ts';
import { respond } from '../pipeline/respond.ts';

/** @returns Undefined if this listener has no endpoint for the request. */
export type FindEventEndpoint = (
  listener: string,
  request: Pick<IncomingMessage, 'url'>,
) => ((request: IncomingMessage, response: ServerResponse, record: RequestRecord) => Promise<void>) | undefined;

type Endpoint = 'backchannel-logout' | 'events' | 'webhook' | 'revoke';

const path = /^\/\.well-known\/countersign\/(backchannel-logout|events|webhook|revoke)\/([a-z][a-z0-9-]{0,62})$/;

/**
 * The endpoints that providers and your own code call: OpenID back-channel logout, push delivery of Security Event
 * Tokens (RFC 8935), webhooks, and revoke calls. The first two check what needs no key first, and count only failures
 * against an address.
 */
export function createEventEndpoints({
  receivers,
  listener,
  throttle,
  clientAddress,
}: Readonly<{
  receivers: ReadonlyMap<string, EventReceiver>;
  /** The listener that providers call. */
  listener: 'public' | 'events';
  /** Counts failed requests, by client address. */
  throttle: Pick<LocalLimiter, 'take' | 'waitSec'>;
  clientAddress: ClientAddress;
}>): FindEventEndpoint {
  /** By source, so that slow senders of one do not close the requests of another. */
  const reading = new Map(
    [...receivers.values()].flatMap(({ webhook, revoke }) =>
      [webhook, revoke].map((receive) => [receive, new Set<IncomingMessage>()]),
    ),
  );

  async function receive(endpoint: Endpoint, receiver: EventReceiver, request: IncomingMessage) {
    if (endpoint === 'backchannel-logout') return receiver[endpoint]?.(await signals.readLogoutToken(request));
    if (endpoint === 'events') {
      if (receiver.isAuthentic(signals.singleHeader(request, 'authorization'), 'sharedSignals'))
        return receiver.events?.(await signals.readSecurityEventToken(request));
      throw new signals.EventTokenError('authentication_failed', 'another bearer');
    }
    const own = receiver[endpoint];
    const delivery = await signals.readDelivery(request, reading.get(own) as Set<IncomingMessage>);
    if (delivery === undefined) throw new AppError('payload_too_large');
    return own?.(delivery);
  }

  /** @returns The response. Rejects with AppError, such as if the event must be sent again. */
  async function answer(
    endpoint: Endpoint,
    receiver: EventReceiver,
    request: IncomingMessage,
    record: RequestRecord,
  ): Promise<signals.PushAnswer> {
    try {
      const received = await receive(endpoint, receiver, request);
      record.detail = { event: received };
      // Providers expect 200, also for an event that ends nothing. Only our own call tells which it was.
      if (endpoint === 'revoke') return json({ result: received?.result });
      return endpoint === 'events' ? signals.pushAccepted : signals.logoutAccepted;
    } catch (error) {
      if (!(error instanceof signals.EventTokenError)) throw error;
      const isUnauthenticated = error.code === 'authentication_failed';
      const detail = { event: 'refused', reason: error.message };
      if (isDelivery(endpoint))
        throw new AppError(isUnauthenticated ? 'event_unauthenticated' : 'invalid_request', {
          detail,
          ...(isUnauthenticated && { headers: { 'www-authenticate': 'Bearer' } }),
        });
      record.detail = detail;
      throttle.take(addressKey(record.address ?? ''));
      return endpoint === 'events' ? signals.pushRefused(error) : signals.logoutRefused;
    }
  }

  return (asked, { url = '' }) => {
    const [, given, name = ''] = asked === listener ? (path.exec(url) ?? []) : [];
    const endpoint = given as Endpoint;
    const receiver = receivers.get(name);
    if (receiver?.[endpoint] === undefined) return undefined;
    return async (request, response, record) => {
      try {
        if (endpoint === 'webhook' && request.method === 'GET' && receiver.challenge) {
          send(answerChallenge(receiver, request), request, response);
          return;
        }
        if (request.method !== 'POST') throw new AppError('method_not_allowed', { headers: { allow: 'POST' } });
        const forwarded = request.headersDistinct['x-forwarded-for'] ?? [];
        record.address = clientAddress(request.socket.remoteAddress ?? '', forwarded);
        const waitSec = isDelivery(endpoint) ? 0 : throttle.waitSec(addressKey(record.address));
        // Other clients at the transmitter's address must not lock it out, so the secret bypasses the throttle.
        if (waitSec > 0 && !receiver.isAuthentic(signals.singleHeader(request, 'authorization'), 'sharedSignals')) {
          throw new AppError('rate_limited', { headers: { 'retry-after': String(waitSec) } });
        }
        if (request.headers.expect !== undefined) response.writeContinue();
        send(await answer(endpoint, receiver, request, record), request, response);
      } catch (error) {
        respond.http(error, record, request, response);
      }
    };
  };
}

/** They have no limit by address, because other customers of a provider can send from the same address. */
const isDelivery = (endpoint: Endpoint): boolean => endpoint === 'webhook' || endpoint === 'revoke';

/** Proves to a provider that this URL is its customer's. Requires the secret, or anyone could have a text sent back. */
function answerChallenge({ challenge, isAuthentic }: EventReceiver, request: IncomingMessage): signals.PushAnswer {
  if (!isAuthentic(signals.singleHeader(request, 'authorization'), 'webhook'))
    throw new AppError('event_unauthenticated');
  const verification = signals.singleHeader(request, challenge ?? '') ?? '';
  if (!/^[A-Za-z0-9_-]{1,256}$/.test(verification)) throw new AppError('invalid_request');
  return json({ verification });
}

const json = (body: object): signals.PushAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
  body: JSON.stringify(body),
});

function send({ status, headers, body }: signals.PushAnswer, request: IncomingMessage, response: ServerResponse): void {
  const length = { 'content-length': String(Buffer.byteLength(body)) };
  if (request.complete) {
    response.writeHead(status, { ...headers, ...length }).end(body);
    return;
  }
  response.writeHead(status, { ...headers, ...length, connection: 'close' }).write(body);
  discardBody(request, () => response.end());
}
