import type { IncomingMessage, ServerResponse } from 'node:http';
import { discardBody } from '@countersign/service-kit';
import { type PushAnswer, pushAccepted, pushRefused, SignalError } from '@countersign/signals';
import { AppError } from '../errors.ts';
import type { EventReceiver } from '../events/event-receiver.ts';
import { addressKey } from '../limits/address-key.ts';
import type { LocalLimiter } from '../limits/limiter.ts';
import type { ClientAddress } from '../pipeline/client-address.ts';
import type { RequestRecord } from '../pipeline/request-record.ts';
import { respond } from '../pipeline/respond.ts';

type EventEndpointsOptions = Readonly<{
  /** The receivers, by issuer name. */
  receivers: ReadonlyMap<string, EventReceiver>;
  /** The listener that receives events. */
  listener: 'public' | 'events';
  /** Counts failed requests, by client address. */
  throttle: Pick<LocalLimiter, 'take' | 'waitSec'>;
  clientAddress: ClientAddress;
}>;

/** An endpoint for a request. */
export type EventEndpoint = (
  request: IncomingMessage,
  response: ServerResponse,
  record: RequestRecord,
) => Promise<void>;

export type EventEndpoints = Readonly<{
  /** @returns Undefined if this listener has no endpoint for the request. */
  find(listener: string, request: Pick<IncomingMessage, 'url'>): EventEndpoint | undefined;
}>;

const path = /^\/\.well-known\/countersign\/(backchannel-logout|events)\/([a-z][a-z0-9-]{0,62})$/;

const maxBodyBytes = 64 * 1024;
const bodyTimeoutMs = 10_000;

const loggedOut: PushAnswer = { status: 200, headers: { 'cache-control': 'no-store' }, body: '' };
// The same response for every reason, so that it reveals nothing about sessions and users.
const logoutRefused: PushAnswer = {
  status: 400,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: JSON.stringify({ error: 'invalid_request', error_description: 'The logout token is invalid.' }),
};

/**
 * The endpoints that providers call: OpenID back-channel logout, and push delivery of Security Event Tokens (RFC
 * 8935). They check what needs no key first, and count only failures against an address.
 */
export function createEventEndpoints({
  receivers,
  listener,
  throttle,
  clientAddress,
}: EventEndpointsOptions): EventEndpoints {
  /** @returns The response. Rejects with AppError if the transmitter must send the event again. */
  async function answer(
    endpoint: string,
    receiver: EventReceiver,
    request: IncomingMessage,
    record: RequestRecord,
  ): Promise<PushAnswer> {
    const isLogout = endpoint === 'backchannel-logout';
    const refused = (error: SignalError): PushAnswer => {
      throttle.take(addressKey(record.address ?? ''));
      record.detail = { event: 'refused', reason: error.message };
      return isLogout ? logoutRefused : pushRefused(error);
    };
    if (!isLogout && !receiver.isAuthentic(single(request, 'authorization'))) {
      return refused(new SignalError('authentication_failed', 'another bearer'));
    }
    try {
      const token = await readToken(request, isLogout);
      const received = await (isLogout ? receiver.logout : receiver.signal)?.(token);
      record.detail = { event: received };
      return isLogout ? loggedOut : pushAccepted;
    } catch (error) {
      if (error instanceof SignalError) return refused(error);
      throw error;
    }
  }

  return {
    find(asked, { url = '' }) {
      const [, endpoint = '', name = ''] = asked === listener ? (path.exec(url) ?? []) : [];
      const receiver = receivers.get(name);
      if (receiver === undefined || (endpoint === 'events' ? receiver.signal : receiver.logout) === undefined)
        return undefined;
      return async (request, response, record) => {
        try {
          if (request.method !== 'POST') throw new AppError('method_not_allowed', { headers: { allow: 'POST' } });
          const forwarded = request.headersDistinct['x-forwarded-for'] ?? [];
          record.address = clientAddress(request.socket.remoteAddress ?? '', forwarded);
          const waitSec = throttle.waitSec(addressKey(record.address));
          // Other clients at the transmitter's address must not lock it out, so the secret bypasses the throttle.
          if (waitSec > 0 && !receiver.isAuthentic(single(request, 'authorization'))) {
            throw new AppError('rate_limited', { headers: { 'retry-after': String(waitSec) } });
          }
          if (request.headers.expect !== undefined) response.writeContinue();
          send(await answer(endpoint, receiver, request, record), request, response);
        } catch (error) {
          respond.http(error, record, request, response);
        }
      };
    },
  };
}

function send({ status, headers, body }: PushAnswer, request: IncomingMessage, response: ServerResponse): void {
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

/** @throws SignalError if the body is not a token in the expected form. */
async function readToken(request: IncomingMessage, isLogout: boolean): Promise<string> {
  const type = single(request, 'content-type')?.split(';')[0]?.trim().toLowerCase();
  const expected = isLogout ? 'application/x-www-form-urlencoded' : 'application/secevent+jwt';
  if (type !== expected) throw invalid('another content type');
  if (request.headers['content-encoding'] !== undefined) throw invalid('an encoded body');
  const body = await readBody(request);
  if (!isLogout) return body.trim();
  const tokens = new URLSearchParams(body).getAll('logout_token');
  if (tokens.length !== 1) throw invalid('not one logout_token');
  return tokens[0] ?? '';
}

/** @throws SignalError if the body is too large. Error if the client is too slow or disconnects. */
async function readBody(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw invalid('too large');
  const late = setTimeout(() => request.destroy(), bodyTimeoutMs);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Buffer).length;
      if (bytes > maxBodyBytes) throw invalid('too large');
      chunks.push(chunk as Buffer);
    }
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(chunks).toString('latin1');
}

const invalid = (message: string) => new SignalError('invalid_request', message);
