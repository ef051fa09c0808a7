import {
  newNonce,
  newRequestId,
  type PreparedIdentity,
  prepareIdentity,
  type SigningKey,
  signRequest,
} from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import type { FeedQuestion } from '../tokens/revocation-feed.ts';
import type { OpenUpstream } from './open-upstream.ts';

export type RevocationSourceOptions = Readonly<{
  /** The feed, at one of the upstream's targets. */
  url: string;
  upstream: Upstream;
  opened: OpenUpstream;
  keyFor(upstream: Upstream, nowSec: number): SigningKey;
  lifetimeSec: number;
  nowMs(): number;
}>;

// 5,000 entries of the longest identifiers, and room.
const maxBytes = 8 * 1024 * 1024;
const graceMs = 5_000;

/**
 * Asks the auth-service for revocations in the gateway's own name (`x-identity: gateway`). Redirects are not followed.
 *
 * @returns A function that gives the answer's JSON, and throws whatever goes wrong: a status other than 200, time, size.
 */
export function createRevocationSource(
  options: RevocationSourceOptions,
): (question: FeedQuestion, signal: AbortSignal) => Promise<unknown> {
  const { upstream, opened, keyFor, lifetimeSec, nowMs } = options;
  const { pathname } = new URL(options.url);
  const gateway: PreparedIdentity = prepareIdentity({ kind: 'gateway' }, upstream.name);

  return async (question, signal) => {
    const query = queryOf(question);
    const nowSec = Math.floor(nowMs() / 1000);
    const signed = signRequest(
      keyFor(upstream, nowSec),
      gateway,
      { method: 'GET', path: pathname, query, requestId: newRequestId() },
      { createdSec: nowSec, lifetimeSec, nonce: newNonce() },
    );
    const timeoutMs = question.waitSec * 1000 + graceMs;
    const { statusCode, body } = await opened.choose().pool.request({
      method: 'GET',
      path: pathname + query,
      headers: [...signed.flat(), 'accept', 'application/json'],
      headersTimeout: timeoutMs,
      bodyTimeout: graceMs,
      signal,
    });
    if (statusCode !== 200) {
      await body.dump();
      throw new Error(`the revocation feed answered ${statusCode}`);
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // Leaving the loop ends the connection.
      if (bytes > maxBytes) throw new Error(`the revocation feed answered more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  };
}

function queryOf({ position, waitSec }: FeedQuestion): string {
  const query = new URLSearchParams();
  if (position !== undefined) {
    query.set('log', position.log);
    query.set('after', String(position.cursor));
  }
  query.set('wait', String(waitSec));
  return `?${query}`;
}
