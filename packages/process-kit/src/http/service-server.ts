import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { v7 as uuidv7 } from 'uuid';
import { AppError, type CommonCode, commonErrors } from '../errors.ts';
import { respondOnSocket } from './lingering-close.ts';
import { answerOf } from './problem.ts';

/**
 * Creates the HTTP server of a service or the gateway's admin listener. Node's own error responses have no body. Here
 * they are problem+json: a request without `Host` or with an unknown `Expect` goes to the app, and a parse error gets a
 * problem response.
 */
export function createServiceServer(app: RequestListener): Server {
  const pending = new WeakMap<Duplex, Set<ServerResponse>>();
  const handle: RequestListener = (request, response) => {
    const responses = pending.get(request.socket) ?? new Set();
    pending.set(request.socket, responses.add(response));
    response.once('close', () => responses.delete(response));
    // Log, metrics and trace each listen for the end, and a `pipeline` adds six. From eleven on, Node warns of a leak.
    response.setMaxListeners(20);
    app(request, response);
  };
  const server = createServer({ requireHostHeader: false }, handle);
  server.on('checkExpectation', handle);
  server.on('clientError', (error, socket) => {
    // Within a started response, a problem would be read as part of the body.
    const hasStarted = [...(pending.get(socket) ?? [])].some(
      (response) => response.headersSent && !response.writableEnded,
    );
    if (hasStarted) socket.destroy();
    else refuse(error, socket);
  });
  return server;
}

const codes: Readonly<Record<string, CommonCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') {
    socket.destroy();
    return;
  }
  const code = codes[error.code ?? ''] ?? 'invalid_request';
  const id = uuidv7();
  const { status, headers, body } = answerOf(new AppError(code), commonErrors, { id, path: '/' });
  respondOnSocket(socket, { status, headers: { ...headers, 'x-request-id': id }, body });
}
