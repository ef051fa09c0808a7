import { createServer, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { v7 as uuidv7 } from 'uuid';
import { AppError, type CommonCode, commonErrors } from '../errors.ts';
import { answerOf } from './problem.ts';

/**
 * The HTTP server of a service, and of the gateway's operators. What node would answer by itself, without a body, is answered like
 * everything else: a request without Host or with a strange expectation goes to the app, which refuses it; one that is no request at all
 * gets a problem.
 */
export function createServiceServer(app: RequestListener): Server {
  const underWay = new WeakMap<Duplex, Set<ServerResponse>>();
  const take: RequestListener = (request, response) => {
    const answers = underWay.get(request.socket) ?? new Set();
    underWay.set(request.socket, answers.add(response));
    response.once('close', () => answers.delete(response));
    app(request, response);
  };
  const server = createServer({ requireHostHeader: false }, take);
  server.on('checkExpectation', take);
  server.on('clientError', (error, socket) => {
    // Put into an answer that has begun, a problem would be read as the rest of it.
    const isAnswering = [...(underWay.get(socket) ?? [])].some((answer) => answer.headersSent && !answer.writableEnded);
    if (isAnswering) socket.destroy();
    else refuse(error, socket);
  });
  return server;
}

const codes: Readonly<Record<string, CommonCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy();
    return;
  }
  const code = codes[error.code ?? ''] ?? 'invalid_request';
  const id = uuidv7();
  const { status, headers, body } = answerOf(new AppError(code), commonErrors, { id, path: '/' });
  const lines = Object.entries({
    ...headers,
    'x-request-id': id,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
}
