import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import { AppError } from '../errors.ts';
import { Exchange } from '../exchange.ts';
import { type HandlerOptions, recordOf } from './handlers.ts';

/**
 * Serves the routes of the public listener inside another Express application. A request that matches no route goes to the next handler.
 *
 * The target is `originalUrl`, so routes name the whole path wherever the handler is mounted.
 */
export function createMountedHandler(
  options: Pick<HandlerOptions, 'pipeline' | 'respond' | 'logRequest' | 'inFlight'>,
): RequestHandler {
  const { pipeline, respond, logRequest, inFlight } = options;
  return async (request, response, next) => {
    if (isBodyTaken(request)) throw new Error(bodyTaken);
    const { url } = request;
    request.url = request.originalUrl;
    const record = recordOf(request);
    if (hasContinued(request)) response.writeContinue = () => {};
    let isServed = true;
    inFlight.begin(record);
    response.once('close', () => {
      inFlight.end(record);
      const status = response.headersSent ? response.statusCode : 0;
      if (isServed) logRequest(record, status, !response.writableFinished);
    });
    try {
      await pipeline.http(new Exchange(request, record, response, inFlight.end), response);
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'no_route')) {
        respond.http(error, record, request, response);
        return;
      }
      isServed = false;
      inFlight.end(record);
      request.url = url;
      next();
    }
  };
}

/** Node sends `100 Continue` itself, unless the server listens for `checkContinue`. */
function hasContinued({ headers, socket }: IncomingMessage): boolean {
  const { server } = socket as Socket & { server?: EventEmitter };
  return headers.expect !== undefined && server?.listenerCount('checkContinue') === 0;
}

const bodyTaken =
  'countersignGateway must come before body parsers: something has read the body of this request, so it cannot be forwarded';

/** Whether something else reads the body, or has read it. */
function isBodyTaken(request: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || Number(length) !== 0;
  return hasBody && (request.readableDidRead || request.readableFlowing !== null);
}
