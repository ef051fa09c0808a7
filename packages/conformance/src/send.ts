import { connect } from 'node:net';
import { trimOws } from '@countersign/jwks';
import type { VectorRequest } from './vectors.ts';

/** The service's response. */
export type Answer = Readonly<{ status: number; headers: ReadonlyMap<string, string>; body: string }>;

const timeoutMs = 10_000;

/** The service closed the connection, and sent no status line. */
export class ClosedWithoutStatus extends Error {
  override readonly name = 'ClosedWithoutStatus';
  readonly received: string;

  /** @param received What it sent, in Latin-1. */
  constructor(received: string) {
    super('the connection was closed without a response');
    this.received = received;
  }
}

/**
 * Sends one request byte for byte: an HTTP library would refuse or change many.
 *
 * @param lastByteAfterMs When the last byte of the body follows.
 * @throws ClosedWithoutStatus
 * @throws Error without a response within 10 s, or without a connection.
 */
export function send(
  { hostname, port, host }: URL,
  request: VectorRequest,
  { lastByteAfterMs = 0 } = {},
): Promise<Answer> {
  const body = Buffer.from(request.body_base64, 'base64');
  const names = new Set(request.headers.map(([name]) => name.toLowerCase()));
  const needsLength = body.length > 0 && !names.has('content-length') && !names.has('transfer-encoding');
  const head = [
    `${request.method} ${request.target} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: close',
    ...(needsLength ? [`Content-Length: ${body.length}`] : []),
    ...request.headers.map(([name, value]) => `${name}: ${value}`),
  ].join('\r\n');
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 80 });
    const chunks: Buffer[] = [];
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no response within ${timeoutMs / 1000} s`)));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      // A server that refuses a request before it has read it all resets the connection after its response.
      const received = Buffer.concat(chunks).toString('latin1');
      const answer = readAnswer(received);
      if (answer === undefined) reject(failure ?? new ClosedWithoutStatus(received));
      else resolve(answer);
    });
    // Also beside a content-length: a server may ignore that one, and would wait for chunks (RFC 9112 section 6.3).
    const isChunked = names.has('transfer-encoding');
    const bytes = Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), isChunked ? chunked(body) : body]);
    if (lastByteAfterMs === 0) return void socket.write(bytes);
    socket.write(bytes.subarray(0, -1));
    setTimeout(() => socket.write(bytes.subarray(-1)), lastByteAfterMs);
  });
}

const chunked = (body: Buffer): Buffer =>
  Buffer.from(
    `${body.length === 0 ? '' : `${body.length.toString(16)}\r\n${body.toString('latin1')}\r\n`}0\r\n\r\n`,
    'latin1',
  );

/** @returns The response in Latin-1 text. Undefined if it is not a complete head. */
export function readAnswer(text: string): Answer | undefined {
  const end = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1];
  if (end === -1 || status === undefined) return undefined;
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), trimOws(line, colon + 1)] as const;
    }),
  );
  const rest = text.slice(end + 4);
  const isChunked = headers.get('transfer-encoding')?.toLowerCase() === 'chunked';
  return { status: Number(status), headers, body: isChunked ? unchunked(rest) : rest };
}

function unchunked(text: string): string {
  let body = '';
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (lineEnd === -1 || !(size > 0)) return body;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}
