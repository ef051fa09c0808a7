import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { Upload, type UploadOwner } from './upload.ts';
import type { UpstreamExchange } from './upstream-exchange.ts';

// Up to this size head and body are one write.
const maxJoinedBytes = 16 * 1024;
const sliceBytes = 64 * 1024;

/** @returns The upload that is to be started; undefined if the whole request was written. */
export function writeRequest(
  { head, request }: UpstreamExchange,
  socket: Socket,
  owner: UploadOwner,
): Upload | undefined {
  const { body, bodyLength } = request;
  if (body === null) {
    socket.write(head, 'latin1');
    return undefined;
  }
  if (!(body instanceof Uint8Array)) return new Upload(body, bodyLength, socket, owner);
  if (body.length > maxJoinedBytes) return new Upload(Readable.from(slices(body)), body.length, socket, owner);
  socket.write(join(head, body));
  return undefined;
}

function join(head: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 'latin1');
  bytes.set(body, head.length);
  return bytes;
}

/** Slices show whether the service still reads a large body. */
function* slices(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += sliceBytes) yield body.subarray(at, at + sliceBytes);
}
