import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { newRequestId } from '@countersign/identity';
import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import helmet from 'helmet';
import { AppError } from '../errors.ts';
import type { Arrival, RequestRecord } from '../exchange.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Respond } from '../respond.ts';
import type { Observe } from '../telemetry/access-log.ts';
import type { InFlight } from './in-flight.ts';

/** What a listener hands its requests to. */
export type Handlers = Readonly<{
  /** @param refusal Why it is refused before any stage sees it. */
  request(request: IncomingMessage, response: ServerResponse, refusal?: AppError): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** What never became a request. */
  refused(error: AppError, socket: Duplex): void;
  /** A request whose body turned out to be malformed. */
  broken(error: AppError, response: ServerResponse, socket: Duplex): void;
}>;

type Locals = { record: RequestRecord };

export type HandlerParts = Readonly<{
  pipeline: Pipeline;
  respond: Respond;
  observe: Observe;
  isDraining(): boolean;
  inFlight: InFlight;
  /** What the app serves itself. */
  own?: Router;
}>;

/** The app of the public or the internal listener. What is served there is in the route table; on the public one nothing else is. */
export function createHandlers({ pipeline, respond, observe, isDraining, inFlight, own }: HandlerParts): Handlers {
  const app = bareApp();
  if (own !== undefined) app.use(own);
  app.use((req: Request, res: Response, next: NextFunction) => {
    const { record } = res.locals as Locals;
    const arrival: Arrival = {
      request: req,
      kind: 'http',
      record,
      acceptBody: () => acceptBody(req, res),
      detach: () => inFlight.end(record),
    };
    pipeline.http(arrival, res).catch(next);
  });

  function begin(request: IncomingMessage, response: ServerResponse): RequestRecord {
    const record = recordOf(request);
    inFlight.begin(record);
    response.once('close', () => {
      inFlight.end(record);
      // Nobody got an answer where the client left before there was one, whatever node's default says.
      const status = record.status ?? (response.headersSent ? response.statusCode : 0);
      observe(record, { status, aborted: record.status === undefined && !response.writableFinished });
    });
    return record;
  }

  return {
    request(request, response, refusal) {
      const record = begin(request, response);
      const locals: Locals = { record };
      Object.assign(response, { locals });
      if (refusal !== undefined) {
        respond.http(refusal, record, request, response);
        return;
      }
      // Whatever Express itself dislikes ends here too, never in its own error page.
      app(request as Request, response as Response, (error?: unknown) => {
        respond.http(error ?? new AppError('no_route'), record, request, response);
      });
    },
    upgrade(request, socket, head) {
      const record = recordOf(request);
      const detach = () => inFlight.end(record);
      inFlight.begin(record);
      socket.once('close', () => {
        detach();
        observe(record, { status: record.status ?? 0, aborted: record.status === undefined });
      });
      socket.on('error', () => socket.destroy());
      if (isDraining()) {
        respond.socket(new AppError('unavailable'), record, socket);
        return;
      }
      pipeline
        .upgrade({ request, kind: 'upgrade', record, acceptBody: () => {}, detach }, socket, head)
        .catch((error: unknown) => respond.socket(error, record, socket));
    },
    broken(error, response, socket) {
      const { record } = (response as Response).locals as Locals;
      if (!response.headersSent) respond.socket(error, record, socket);
      // A refusal that waits for the rest of the body waits no longer; an answer of the service must not look whole.
      else if (record.code !== undefined) response.end();
      else response.destroy();
    },
    refused(error, socket) {
      const record: RequestRecord = { requestId: newRequestId(), method: '', path: '', startedAt: performance.now() };
      socket.once('close', () => observe(record, { status: record.status ?? 0, aborted: false }));
      respond.socket(error, record, socket);
    },
  };
}

/** Matches as the gateway does, and tells nothing about itself. */
export function bareApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  return app;
}

/** The keys that the services' verifiers need, on the internal listener too. What is not asked for in its one form is left to what comes after it. */
export function keySetRoute(keySet: () => unknown): Router {
  const router = express.Router({ caseSensitive: true, strict: true });
  const path = '/.well-known/jwks.json';
  const isPlain = ({ url, headers, headersDistinct }: Request) =>
    url === path &&
    headersDistinct.host?.length === 1 &&
    (headers['content-length'] ?? '0') === '0' &&
    headers['transfer-encoding'] === undefined;
  router.get(path, helmet(), (req, res, next) => {
    if (!isPlain(req)) {
      next();
      return;
    }
    const { record } = res.locals as Partial<Locals>;
    // On the admin listener it has one already.
    if (record !== undefined) res.set('x-request-id', record.requestId);
    res.set('cache-control', 'public, max-age=60').type('application/jwk-set+json').send(JSON.stringify(keySet()));
  });
  return router;
}

const longestLoggedPath = 1024;

function recordOf(request: IncomingMessage): RequestRecord {
  const target = request.url ?? '';
  const query = target.indexOf('?');
  return {
    requestId: newRequestId(),
    method: request.method ?? '',
    path: (query === -1 ? target : target.slice(0, query)).slice(0, longestLoggedPath),
    startedAt: performance.now(),
  };
}

/** Only who asked for it may get a 100 (RFC 9110 section 10.1.1), and only now: who is refused never sends the body. */
function acceptBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersion === '1.1' && request.headers.expect?.toLowerCase() === '100-continue')
    response.writeContinue();
}
