import { IncomingMessage, type RequestListener, type ServerOptions, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { newRequestId } from '@countersign/identity';
import type { Health } from '@countersign/process-kit';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { AppError } from '../errors.ts';
import { hasBody } from '../http/header-fields.ts';
import type { PublishedAt } from '../keys/published-documents.ts';
import type { HeldBody } from '../limits/body-memory.ts';
import { Exchange, type RawRequest } from '../pipeline/exchange.ts';
import type { Forward, Pipeline } from '../pipeline/pipeline.ts';
import { type LogRequest, maxLoggedPathLength, RequestRecord } from '../pipeline/request-record.ts';
import { type FormatRefusal, respond } from '../pipeline/respond.ts';
import { clientRequestIdIn } from '../pipeline/sanitize.ts';
import type { FindEventEndpoint } from './event-endpoints.ts';
import { bareApp, mayAskForDocument, publishedRouter } from './express-app.ts';

/** A response on the gateway's own listeners, with what they know about the request. */
export class GatewayResponse extends ServerResponse {
  /** Why the listener refused the request before any stage ran. */
  refusal: AppError | undefined = undefined;
  record: RequestRecord | undefined = undefined;
}
Object.setPrototypeOf(GatewayResponse.prototype, express.response);

/** Counts the requests that one snapshot is still serving. */
export class InFlight {
  #count = 0;
  #whenIdle: (() => void) | undefined;

  begin(record: RequestRecord): void {
    record.isInFlight = true;
    this.#count += 1;
  }

  /** Call it when the request no longer needs the snapshot. Later calls do nothing. */
  readonly end = (record: RequestRecord): void => {
    if (!record.isInFlight) return;
    record.isInFlight = false;
    this.#count -= 1;
    if (this.#count === 0) this.#whenIdle?.();
  };

  /** Calls back once no request is left. Do not start a request after calling this. */
  whenIdle(callback: () => void): void {
    if (this.#count === 0) callback();
    else this.#whenIdle = callback;
  }
}

export type HandlerOptions = Readonly<{
  pipeline: Pipeline;
  forward: Forward;
  logRequest: LogRequest;
  health: Pick<Health, 'draining'>;
  inFlight: InFlight;
  /** Starts counting a body that the gateway will hold in memory. */
  holdBody(address: string): HeldBody;
  /** What to do with a request that matches no route: refuse it, or pass it to the application's next handler. */
  unmatched: 'refuse' | 'next';
  /** Default: problem documents. */
  format?: FormatRefusal | undefined;
  /** Where the pages of error codes are. */
  docs?: string | undefined;
}>;

/** The request properties that a record needs, over HTTP/1.1 or HTTP/2. */
type Opened = Pick<IncomingMessage, 'method' | 'url' | 'headers'>;
type Answered = Pick<ServerResponse, 'headersSent' | 'statusCode' | 'writableFinished'> & {
  on(event: 'close', listener: () => void): unknown;
};

export type Handlers = Readonly<ReturnType<typeof createRequestHandler>>;

/** Opens records, runs the pipeline, responds to errors, and logs each request when it is over. */
export function createRequestHandler(options: HandlerOptions) {
  const { pipeline, forward, logRequest, health, inFlight, holdBody, unmatched, format, docs } = options;

  function openRecord(request: Opened, response: Answered): RequestRecord {
    const record = recordOf(request, docs);
    inFlight.begin(record);
    if (response instanceof GatewayResponse) response.record = record;
    response.on('close', () => {
      inFlight.end(record);
      record.heldBody?.release();
      if (record.isPassedOn) return;
      // Node's default status is 200, but a client that disconnected early got no response.
      const status = record.status ?? (response.headersSent ? response.statusCode : 0);
      logRequest(record, status, record.status === undefined && !response.writableFinished);
    });
    return record;
  }

  async function serve(request: Request, response: ServerResponse, next: NextFunction): Promise<void> {
    const { url } = request;
    request.url = request.originalUrl;
    const record = openRecord(request, response);
    try {
      const decided = await pipeline(new Exchange(rawRequest(request, response), record, inFlight.end, holdBody));
      if ('outbound' in decided) await forward.http(decided, response);
      else response.writeHead(decided.status, decided.headers).end(decided.body);
    } catch (error) {
      if (unmatched === 'refuse' || !(error instanceof AppError && error.code === 'no_route')) {
        respond.http(error, record, request, response, format);
        return;
      }
      record.isPassedOn = true;
      inFlight.end(record);
      request.url = url;
      next();
    }
  }

  /** Reads the client's request id itself, because the pipeline may not see the request. */
  function begin(request: Opened, response: Answered): RequestRecord {
    const record = openRecord(request, response);
    record.clientRequestId = clientRequestIdIn(request.headers['x-request-id']);
    return record;
  }

  return {
    begin,
    /** Routes name the whole path (`originalUrl`), wherever this is mounted. Throws if other code has read the body. */
    request(request: Request, response: ServerResponse, next: NextFunction): void {
      if (!(response instanceof GatewayResponse)) prepareForeign(request, response);
      void serve(request, response, next);
    },
    async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
      const record = recordOf(request, docs);
      record.clientRequestId = clientRequestIdIn(request.headers['x-request-id']);
      inFlight.begin(record);
      socket.once('close', () => {
        inFlight.end(record);
        logRequest(record, record.status ?? 0, record.status === undefined);
      });
      socket.on('error', () => socket.destroy());
      if (health.draining) {
        respond.socket(new AppError('unavailable'), record, socket);
        return;
      }
      try {
        const decided = await pipeline(new Exchange(rawRequest(request), record, inFlight.end, holdBody));
        if ('outbound' in decided) await forward.upgrade(decided, request, socket, head);
      } catch (error) {
        respond.socket(error, record, socket);
      }
    },
    /** Responds to a request that no stage sees. */
    refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
      respond.http(error, begin(request, response), request, response, format);
    },
    /** Ends a request whose body is malformed. */
    refuseBody(error: AppError, response: GatewayResponse, socket: Duplex): void {
      const record = response.record as RequestRecord;
      if (!response.headersSent) respond.socket(error, record, socket);
      // The refusal waits for the rest of the body, which will not arrive.
      else if (record.code !== undefined) response.end();
      // Closes the connection, so that the truncated response does not look complete.
      else response.destroy();
    },
    /** Responds to bytes that the parser could not read as a request. */
    refuseSocket(error: AppError, socket: Duplex): void {
      const record = new RequestRecord(newRequestId(), '', '', performance.now());
      record.docs = docs;
      socket.once('close', () => logRequest(record, record.status ?? 0, false));
      respond.socket(error, record, socket);
    },
  };
}

/** @param response Undefined for an upgrade. */
const rawRequest = (request: IncomingMessage, response?: ServerResponse): RawRequest => ({
  kind: response === undefined ? 'upgrade' : 'http',
  method: request.method ?? '',
  requestTarget: request.url ?? '',
  httpVersion: request.httpVersion,
  rawHeaders: request.rawHeaders,
  peer: request.socket,
  stream: request,
  interim: response,
});

/** For a server that is not the gateway's own. Node has already sent `100 Continue` to its client. */
function prepareForeign(request: IncomingMessage, response: ServerResponse): void {
  if (hasBody(request) && (request.readableDidRead || request.readableFlowing !== null)) throw new Error(bodyTaken);
  if (request.headers.expect !== undefined) response.writeContinue = () => {};
}

const bodyTaken =
  "countersignGateway must come before body parsers: other code has read this request's body, so the gateway cannot forward the request";

/** Returns the path of a request target without the query, which may contain secrets. */
export function loggedPath(requestTarget: string): string {
  const query = requestTarget.indexOf('?');
  return requestTarget.slice(0, query === -1 ? maxLoggedPathLength : Math.min(query, maxLoggedPathLength));
}

function recordOf({ method = '', url = '' }: Opened, docs: string | undefined): RequestRecord {
  const record = new RequestRecord(newRequestId(), method, loggedPath(url), performance.now());
  record.docs = docs;
  return record;
}

export type ListenerApp = Readonly<{
  serve: RequestListener<typeof IncomingMessage, typeof GatewayResponse>;
  classes: Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>;
  handlers(): Handlers;
}>;

/** The handlers that are currently in use. A reload replaces them. */
export type LiveHandlers = Readonly<{
  current: Readonly<{
    handlers: Readonly<Record<'public' | 'internal', Handlers> & { decision?: Handlers | undefined }>;
    /** Undefined if no issuer sends events. */
    events?: FindEventEndpoint | undefined;
  }>;
}>;

/** @param live Read once per request, so that every stage of a request sees the same configuration. */
export function createListenerApp(
  live: LiveHandlers,
  listener: 'public' | 'internal' | 'decision' | 'events',
  published?: PublishedAt,
): ListenerApp {
  const handlers = () => live.current.handlers[listener === 'events' ? 'public' : listener] as Handlers;
  const app = bareApp();
  if (published !== undefined) {
    const router = publishedRouter(published);
    app.use((request, response, next) => {
      if (!mayAskForDocument(request) || published(request.url) === undefined) {
        next();
        return;
      }
      response.set('x-request-id', handlers().begin(request, response).requestId);
      router(request, response, next);
    });
  }
  app.use((request, response, next) => {
    const endpoint = live.current.events?.(listener, request);
    if (endpoint !== undefined) {
      const record = handlers().begin(request, response);
      response.set('x-request-id', record.requestId);
      void endpoint(request, response, record);
    } else if (listener === 'events') handlers().refuse(new AppError('no_route'), request, response);
    else handlers().request(request, response, next);
  });
  return {
    classes: classesOf(app),
    handlers,
    serve(request, response) {
      // Express calls this for its own errors, and for a request target without a path, such as in `OPTIONS *`.
      app(request as Request, response as ServerResponse as Response, (error) => {
        if (error === undefined || error === null) handlers().request(request as Request, response, () => {});
        else handlers().refuse(error, request, response);
      });
    },
  };
}

/** Classes with the prototypes that Express would assign. An object whose prototype changes becomes slow. */
function classesOf(app: Express): ListenerApp['classes'] {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends GatewayResponse {}
  const appProperty = { configurable: true, enumerable: true, writable: true, value: app };
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.defineProperty(AppResponse.prototype, 'app', appProperty);
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse as typeof ServerResponse };
}
