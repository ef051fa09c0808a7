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

const receives = {
  'backchannel-logout': 'receiveLogoutToken',
  events: 'receiveSecurityEventToken',
  webhook: 'receiveWebhook',
  revoke: 'receiveCall',
} as const satisfies Readonly<Record<string, keyof EventReceiver>>;

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
  /** @returns The response. Rejects with AppError if the transmitter must send the token again. */
  async function answer(
    endpoint: string,
    receiver: EventReceiver,
    request: IncomingMessage,
    record: RequestRecord,
  ): Promise<signals.PushAnswer> {
    const isLogout = endpoint === 'backchannel-logout';
    const refused = (error: signals.EventTokenError): signals.PushAnswer => {
      throttle.take(addressKey(record.address ?? ''));
      record.detail = { event: 'refused', reason: error.message };
      return isLogout ? signals.logoutRefused : signals.pushRefused(error);
    };
    if (!isLogout && !receiver.isAuthentic(single(request, 'authorization'))) {
      return refused(new signals.EventTokenError('authentication_failed', 'another bearer'));
    }
    try {
      const received = isLogout
        ? await receiver.receiveLogoutToken?.(await signals.readLogoutToken(request))
        : await receiver.receiveSecurityEventToken?.(await signals.readSecurityEventToken(request));
      record.detail = { event: received };
      return isLogout ? signals.logoutAccepted : signals.pushAccepted;
    } catch (error) {
      if (error instanceof signals.EventTokenError) return refused(error);
      throw error;
    }
  }

  /** By source, so that slow senders of one do not close the requests of another. */
  const reading = new Map(
    [...receivers.values()].flatMap(({ receiveCall, receiveWebhook }) =>
      [receiveCall, receiveWebhook].map((receive) => [receive, new Set<IncomingMessage>()]),
    ),
  );

  /** Without a limit by address, because other customers of a provider can send from the same address. */
  async function deliver(
    endpoint: string,
    receive: NonNullable<EventReceiver['receiveCall' | 'receiveWebhook']>,
    request: IncomingMessage,
    record: RequestRecord,
  ): Promise<signals.PushAnswer> {
    try {
      const delivery = await signals.readDelivery(request, reading.get(receive) as Set<IncomingMessage>);
      if (delivery === undefined) throw new AppError('payload_too_large');
      const received = await receive(delivery);
      record.detail = { event: received };
      // Providers expect 200, also for an event that ends nothing. Only our own call tells which it was.
      return endpoint === 'webhook' ? signals.logoutAccepted : json({ result: received.result });
    } catch (error) {
      if (!(error instanceof signals.EventTokenError)) throw error;
      const isUnauthenticated = error.code === 'authentication_failed';
      throw new AppError(isUnauthenticated ? 'event_unauthenticated' : 'invalid_request', {
        detail: { event: 'refused', reason: error.message },
        ...(isUnauthenticated && { headers: { 'www-authenticate': 'Bearer' } }),
      });
    }
  }

  return (asked, { url = '' }) => {
    const [, endpoint = '', name = ''] = asked === listener ? (path.exec(url) ?? []) : [];
    const receiver = receivers.get(name);
    if (receiver === undefined || receiver[receives[endpoint as keyof typeof receives]] === undefined) return undefined;
    return async (request, response, record) => {
      try {
        const { challenge } = receiver;
        if (endpoint === 'webhook' && request.method === 'GET' && challenge) {
          send(answerChallenge(challenge, request), request, response);
          return;
        }
        if (request.method !== 'POST') throw new AppError('method_not_allowed', { headers: { allow: 'POST' } });
        const forwarded = request.headersDistinct['x-forwarded-for'] ?? [];
        record.address = clientAddress(request.socket.remoteAddress ?? '', forwarded);
        const receive =
          endpoint === 'webhook' ? receiver.receiveWebhook : endpoint === 'revoke' ? receiver.receiveCall : undefined;
        const waitSec = receive === undefined ? throttle.waitSec(addressKey(record.address)) : 0;
        // Other clients at the transmitter's address must not lock it out, so the secret bypasses the throttle.
        if (waitSec > 0 && !receiver.isAuthentic(single(request, 'authorization'))) {
          throw new AppError('rate_limited', { headers: { 'retry-after': String(waitSec) } });
        }
        if (request.headers.expect !== undefined) response.writeContinue();
        const answered = receive
          ? deliver(endpoint, receive, request, record)
          : answer(endpoint, receiver, request, record);
        send(await answered, request, response);
      } catch (error) {
        respond.http(error, record, request, response);
      }
    };
  };
}

/** Proves to a provider that this URL is its customer's. Requires the secret, or anyone could have a text sent back. */
function answerChallenge(
  { header, isAuthentic }: NonNullable<Exclude<EventReceiver['challenge'], ''>>,
  request: IncomingMessage,
): signals.PushAnswer {
  if (!isAuthentic(single(request, 'authorization'))) throw new AppError('event_unauthenticated');
  const verification = single(request, header) ?? '';
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

const single = ({ headersDistinct }: IncomingMessage, name: string): string | undefined => {
  const values = headersDistinct[name] ?? [];
  return values.length === 1 ? values[0] : undefined;
};
