import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { newRequestId } from '@countersign/identity';
import type { Express, Request, Response } from 'express';
import { AppError } from '../errors.ts';
import { Exchange, RequestRecord } from '../exchange.ts';
import { FlatHeadResponse } from '../http/client-response.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Respond } from '../respond.ts';
import type { LogRequest } from '../telemetry/access-log.ts';
import { bareApp, type OwnRoutes } from './express-app.ts';

/** A response with what the listener and its handlers keep for the request. The fields take the place of closures. */
export class GatewayResponse extends FlatHeadResponse {
  /** Why the listener refused the request, before any stage. */
  refusal: AppError | undefined = undefined;
  record: RequestRecord | undefined = undefined;
  /** Called once the response is sent, or its connection is closed. */
  whenClosed: ((response: GatewayResponse) => void) | undefined = undefined;
}

/** A listener passes each request to one of these. */
export type Handlers = Readonly<{
  /** @param refusal Set when the listener refused the request, before any stage. */
  request(request: IncomingMessage, response: GatewayResponse, refusal?: AppError): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Answers bytes that the parser could not read as a request. */
  refuseSocket(error: AppError, socket: Duplex): void;
  /** Ends a request whose body is malformed. */
  refuseBody(error: AppError, response: GatewayResponse, socket: Duplex): void;
}>;

/** What one listener serves with now. A reload replaces the handlers. */
export type Serving = { readonly handlers: Handlers };

/** The requests that one snapshot still serves. */
export type InFlight = Readonly<{
  begin(record: RequestRecord): void;
  /** The request is over, or became a connection that no longer needs the snapshot. A second call does nothing. */
  end(record: RequestRecord): void;
  /** Calls back once no request is left. No request may begin after that. */
  whenIdle(callback: () => void): void;
}>;

export function createInFlight(): InFlight {
  let count = 0;
  let idle: (() => void) | undefined;
  return {
    begin(record) {
      record.isInFlight = true;
      count += 1;
    },
    end(record) {
      if (!record.isInFlight) return;
      record.isInFlight = false;
      count -= 1;
      if (count === 0) idle?.();
    },
    whenIdle(callback) {
      if (count === 0) callback();
      else idle = callback;
    },
  };
}

export type HandlerOptions = Readonly<{
  pipeline: Pipeline;
  respond: Respond;
  logRequest: LogRequest;
  isDraining(): boolean;
  inFlight: InFlight;
  /** Routes that the gateway serves itself. */
  ownRoutes?: OwnRoutes;
}>;

/**
 * The handlers of the public or the internal listener. They open the request's record, run the pipeline, answer its errors, and log the
 * request when the connection or the response closes.
 */
export function createHandlers(options: HandlerOptions): Handlers {
  const { pipeline, respond, logRequest, isDraining, inFlight, ownRoutes } = options;

  async function proxy(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = (response as GatewayResponse).record as RequestRecord;
    try {
      await pipeline.http(new Exchange(request, record, response, inFlight.end), response);
    } catch (error) {
      respond.http(error, record, request, response);
    }
  }

  function logResponse(response: GatewayResponse): void {
    const record = response.record as RequestRecord;
    inFlight.end(record);
    // Node's default status is 200, but a client that left early got no response.
    const status = record.status ?? (response.headersSent ? response.statusCode : 0);
    logRequest(record, status, record.status === undefined && !response.writableFinished);
  }

  const app = createListenerApp({ proxy, refuse: respond.http, ownRoutes });
  return {
    request(request, response, refusal) {
      const record = recordOf(request);
      inFlight.begin(record);
      response.record = record;
      response.whenClosed = logResponse;
      // The app passes everything but the gateway's own endpoints to `proxy`, before its router.
      if (refusal === undefined) app(request, response);
      else respond.http(refusal, record, request, response);
    },
    upgrade(request, socket, head) {
      const record = recordOf(request);
      inFlight.begin(record);
      socket.once('close', () => {
        inFlight.end(record);
        logRequest(record, record.status ?? 0, record.status === undefined);
      });
      socket.on('error', () => socket.destroy());
      if (isDraining()) {
        respond.socket(new AppError('unavailable'), record, socket);
        return;
      }
      pipeline
        .upgrade(new Exchange(request, record, undefined, inFlight.end), socket, head)
        .catch((error: unknown) => respond.socket(error, record, socket));
    },
    refuseBody(error, response, socket) {
      const record = response.record as RequestRecord;
      if (!response.headersSent) respond.socket(error, record, socket);
      // A refusal was waiting for the rest of the body, which will not come.
      else if (record.code !== undefined) response.end();
      // The service's response must not look complete.
      else response.destroy();
    },
    refuseSocket(error, socket) {
      const record = new RequestRecord(newRequestId(), '', '', performance.now());
      socket.once('close', () => logRequest(record, record.status ?? 0, false));
      respond.socket(error, record, socket);
    },
  };
}

type ListenerAppOptions = Readonly<{
  proxy(request: IncomingMessage, response: ServerResponse): Promise<void>;
  refuse: Respond['http'];
  ownRoutes?: OwnRoutes | undefined;
}>;

/**
 * The application of the public or the internal listener. It takes every request, and serves the gateway's own endpoints.
 *
 * Its `handle` is replaced, because a proxied request needs nothing of Express. The router and the changed prototypes of request and response
 * would cost a quarter of the time of a request.
 */
function createListenerApp(options: ListenerAppOptions): RequestListener {
  const { proxy, refuse, ownRoutes } = options;
  const app = bareApp() as Express & { handle: ExpressHandle };
  if (ownRoutes !== undefined) app.use(ownRoutes.router);
  app.use((req: Request, res: Response) => proxy(req, res));
  const route = app.handle.bind(app);
  const own: ReadonlySet<string | undefined> = new Set(ownRoutes?.targets);
  app.handle = (request, response) => {
    if (!own.has(request.url)) {
      void proxy(request, response);
      return;
    }
    // Errors of Express itself end here too, never in its own error page.
    route(request, response, (error) => {
      refuse(
        error ?? new AppError('no_route'),
        (response as GatewayResponse).record as RequestRecord,
        request,
        response,
      );
    });
  };
  return app;
}

type ExpressHandle = (request: IncomingMessage, response: ServerResponse, done?: (error?: unknown) => void) => void;

const maxLoggedPathLength = 1024;

export function recordOf(request: IncomingMessage): RequestRecord {
  const target = request.url ?? '';
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  return new RequestRecord(newRequestId(), request.method ?? '', path.slice(0, maxLoggedPathLength), performance.now());
}
