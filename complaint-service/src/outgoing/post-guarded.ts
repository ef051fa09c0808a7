import { type LookupAddress, lookup } from 'node:dns';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { mayConnectTo, type WebhookReach } from '../domain/webhooks/addresses.ts';
import type { PostFailure, PostResult } from '../domain/webhooks/post-result.ts';

export type GuardedPost = Readonly<{
  url: string;
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  reach: WebhookReach;
  timeoutMs: number;
  signal: AbortSignal;
}>;

/**
 * Sends one POST to a URL that a tenant chose. The address is checked when it connects, after the lookup, so a name that
 * resolves elsewhere the next time is checked again. Redirects are not followed. Only the status is read: what an answer
 * says could otherwise carry the page of an internal service to the tenant.
 */
export async function postGuarded(post: GuardedPost): Promise<PostResult> {
  const url = new URL(post.url);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // A literal address is never looked up.
  if (isIP(host) !== 0 && !mayConnectTo(host, post.reach)) return { failure: 'address_refused' };
  const timeout = AbortSignal.timeout(post.timeoutMs);
  try {
    return { status: await send(url, post, AbortSignal.any([timeout, post.signal])) };
  } catch (error) {
    if (timeout.aborted) return { failure: 'timeout' };
    // The process stops: the attempt says nothing about the receiver.
    if (post.signal.aborted) throw error;
    return { failure: failureOf(error as NodeJS.ErrnoException) };
  }
}

function send(url: URL, { headers, body, reach }: GuardedPost, signal: AbortSignal): Promise<number> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      // A new connection each time: a pooled one would skip the check of the address.
      agent: false,
      lookup: checkedLookup(reach),
      signal,
      maxHeaderSize: 16 * 1024,
      headers: { ...headers, 'content-length': body.length, 'user-agent': 'countersign-webhook', connection: 'close' },
    });
    sent.on('response', (answer) => {
      resolve(answer.statusCode ?? 0);
      // The body is never read: it may not end.
      answer.destroy();
    });
    sent.on('error', reject);
    sent.on('upgrade', (_answer, socket) => {
      socket.destroy();
      reject(Object.assign(new Error('upgraded'), { code: 'HPE_UPGRADE' }));
    });
    sent.end(body);
  });
}

function checkedLookup(reach: WebhookReach): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0);
      const allowed = (found as readonly LookupAddress[]).filter(({ address }) => mayConnectTo(address, reach));
      const [first] = allowed;
      if (first === undefined) {
        return callback(Object.assign(new Error('no public address'), { code: 'ADDRESS_REFUSED' }), '', 0);
      }
      return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family);
    });
  };
}

function failureOf({ code = '' }: NodeJS.ErrnoException): PostFailure {
  if (code === 'ADDRESS_REFUSED') return 'address_refused';
  if (code.startsWith('HPE_')) return 'bad_answer';
  if (
    code.startsWith('ERR_TLS') ||
    code.startsWith('ERR_SSL') ||
    code.startsWith('CERT_') ||
    /CERT|SELF_SIGNED|EPROTO/.test(code)
  ) {
    return 'tls_failed';
  }
  return 'connection_failed';
}
