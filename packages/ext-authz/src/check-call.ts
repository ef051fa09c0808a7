import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

/** Answers one gRPC call, and never rejects. */
export type AnswerCall = (call: Http2ServerRequest, response: Http2ServerResponse) => Promise<void>;

const checkPath = '/envoy.service.auth.v3.Authorization/Check';

/** Whether an HTTP/2 call is Envoy's `Check`. */
export const isCheck = ({ method, url, headers }: Http2ServerRequest): boolean =>
  method === 'POST' && url === checkPath && /^application\/grpc(?:\+proto)?$/.test(headers['content-type'] ?? '');

// The size of the flag and the length.
const prefixBytes = 5;

/** The size of the largest call body: its prefix and a 4 MiB message, which is gRPC's default limit. */
export const maxCheckBytes = prefixBytes + 4 * 1024 * 1024;

/**
 * @param body A call's whole body.
 * @returns The one message in it.
 * @throws Error for any other number of messages, and for a compressed message.
 */
export function messageOf(body: Buffer): Buffer {
  // A compressed message has another flag, and two messages have another length.
  if (body.length < prefixBytes || body[0] !== 0 || body.readUInt32BE(1) !== body.length - prefixBytes)
    throw new Error('no message');
  return body.subarray(prefixBytes);
}

/** Sends the answer's one message. */
export function answerCheck(response: Http2ServerResponse, message: Uint8Array): void {
  const frame = Buffer.alloc(prefixBytes + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixBytes);
  response.writeHead(200, { 'content-type': 'application/grpc' });
  response.addTrailers({ 'grpc-status': '0' });
  response.end(frame);
}
