import type { Http2ServerRequest } from 'node:http2';
import { Readable } from 'node:stream';
import { type CheckedRequest, maxCheckBytes, messageOf, readCheckRequest } from '@countersign/ext-authz';
import type { RawRequest } from '../pipeline/exchange.ts';
import { readBody } from '../pipeline/read-body.ts';
import { singleHeaders } from '../pipeline/sanitize.ts';
import { type CallValues, headerUses, originalRequest, refused } from './original-request.ts';

const reading = {
  maxBytes: maxCheckBytes,
  rate: { bytesPerSec: 0, windowMs: 10_000 },
  // Counts no bytes for the message. The body inside it counts once the client is known.
  held: { grow() {}, release() {} },
};

/**
 * Reads the original request from a `Check` message.
 *
 * @throws AppError `decision_call_invalid` for a malformed message, for a message that does not contain the request as
 *   it arrived, and in the cases of {@link originalRequest}. `payload_too_large` for a message over 4 MiB.
 *   `request_timeout`.
 */
export async function readCheck(call: Http2ServerRequest): Promise<RawRequest> {
  const checked = parse(await readBody(call, reading));
  const { path: requestTarget, headers, isMerged } = checked;
  // A comma may join two values from the client. The service would see both and could use either (CVE-2021-32777).
  const joined = headers.find((name, at) => at % 2 === 0 && singleHeaders.has(name) && headers[at + 1]?.includes(','));
  if (isMerged && joined !== undefined) throw refused('perhaps repeated', joined);
  return originalRequest({ ...checked, requestTarget, useOf, ...bodyOf(checked) });
}

/** A message describes the request in its own fields, so none of the request's headers belongs to a dialect. */
const useOf = headerUses(new Set());

function parse(body: Buffer): CheckedRequest {
  try {
    return readCheckRequest(messageOf(body));
  } catch (error) {
    throw refused((error as Error).message);
  }
}

/** Returns the body as Envoy sends it, and its framing. */
function bodyOf({ headers, body, size }: CheckedRequest): Pick<CallValues, 'described' | 'stream'> {
  const valuesOf = (name: string) => headers.filter((_, at) => at % 2 === 1 && headers[at - 1] === name);
  const [length, ...more] = valuesOf('content-length');
  if (more.length > 0) throw refused('repeated', 'content-length');
  const stream = Object.assign(Readable.from([body]), { complete: true });
  if (body.length > 0) {
    if (size > body.length || (length ?? String(body.length)) !== String(body.length))
      throw refused('only a part of the body', 'content-length');
    return { described: ['content-length', String(body.length)], stream };
  }
  const isAnnounced = size > 0 || (length ?? '0') !== '0' || valuesOf('transfer-encoding').length > 0;
  if (!isAnnounced) return { described: [], stream };
  // A route that streams bodies does not need the bytes. On every other route, reading the destroyed stream fails.
  stream.destroy();
  return { described: length === undefined ? ['transfer-encoding', 'chunked'] : ['content-length', length], stream };
}
