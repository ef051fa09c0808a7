import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

/** Answers one call of gRPC, and never rejects. */
export type AnswerCall = (call: Http2ServerRequest, response: Http2ServerResponse) => Promise<void>;

const checkPath = '/envoy.service.auth.v3.Authorization/Check';

/** Whether a call over HTTP/2 is Envoy's `Check`. */
export const isCheck = ({ method, url, headers }: Http2ServerRequest): boolean =>
  method === 'POST' && url === checkPath && /^application\/grpc(?:\+proto)?$/.test(headers['content-type'] ?? '');

// A flag and the length.
const prefixBytes = 5;

/** The size of the largest body of a call: its prefix, and a message of 4 MiB, the default of gRPC. */
export const maxCheckBytes = prefixBytes + 4 * 1024 * 1024;

/**
 * @param body The whole body of a call.
 * @returns Its one message.
 * @throws Error for any other number of messages, and for a compressed one.
 */
export function messageOf(body: Buffer): Buffer {
  // A compressed message has another flag. Two messages make another length.
  if (body.length < prefixBytes || body[0] !== 0 || body.readUInt32BE(1) !== body.length - prefixBytes)
    throw new Error('no message');
  return body.subarray(prefixBytes);
}

/** Sends the one message of the answer. */
export function answerCheck(response: Http2ServerResponse, message: Uint8Array): void {
  const frame = Buffer.alloc(prefixBytes + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixBytes);
  response.writeHead(200, { 'content-type': 'application/grpc' });
  response.addTrailers({ 'grpc-status': '0' });
  response.end(frame);
}
