import { type Dispatcher, Pool } from 'undici';
import { AppError } from '../../src/errors.ts';
import { createConnect, forUndici, type TlsFiles } from '../../src/upstreams/pool/connector.ts';
import { Collector, defaults, type SentRequest, type Subject, type SubjectRequest } from './subject.ts';

const maxInformational = 16;

/** undici as target.ts opens it and relay.ts uses it. */
export const withUndici: Subject = {
  name: 'undici',
  open(settings) {
    const { origin, tls, maxConnections, connectMs, headMs, bodyMs, idleMs } = { ...defaults, ...settings };
    const files = tls && ({ current: tls } as unknown as TlsFiles);
    const pool = new Pool(origin, {
      pipelining: 1,
      connections: maxConnections,
      connect: forUndici(createConnect(connectMs, files)),
      headersTimeout: headMs,
      bodyTimeout: bodyMs,
      keepAliveTimeout: idleMs,
      maxHeaderSize: 16 * 1024,
      allowH2: false,
    });
    return {
      send: (request = {}) => send(pool, request, maxConnections, connectMs),
      close: () => pool.destroy(),
    };
  },
};

function send(pool: Pool, request: SubjectRequest, maxConnections: number, queueMs: number): SentRequest {
  const { method = 'GET', path = '/', headers = [], body, bodyLength } = request;
  const collector = new Collector(request);
  let controller: Dispatcher.DispatchController | undefined;
  let isOver = false;
  let informational = 0;
  let queueTimer: NodeJS.Timeout | undefined;
  const fail = (error: unknown) => {
    if (!isOver) collector.failed(error);
    isOver = true;
    clearTimeout(queueTimer);
  };
  if (pool.stats.running + pool.stats.pending >= maxConnections) {
    queueTimer = setTimeout(() => fail(new AppError('upstream_overloaded')), queueMs);
  }
  const all = [...headers, ...(bodyLength === undefined ? [] : ['content-length', String(bodyLength)])];
  pool.dispatch(
    { method, path, headers: all, body: body ?? null },
    {
      onRequestStart(started) {
        if (isOver) throw new Error('the request timed out while queued');
        clearTimeout(queueTimer);
        controller = started;
        collector.sent();
      },
      onResponseStart({ rawHeaders }, status) {
        if (status >= 200) {
          collector.head(status, textOf(rawHeaders));
          return;
        }
        informational += 1;
        if (informational > maxInformational) throw new AppError('upstream_invalid_response');
      },
      onResponseData(_controller, chunk) {
        if (!collector.data(chunk)) controller?.pause();
      },
      onResponseEnd: (_controller, trailers) => {
        isOver = true;
        collector.end(Object.entries(trailers).flatMap(([name, value]) => [name, String(value)]));
      },
      onResponseError: (_controller, error) => fail(error),
    },
  );
  return {
    outcome: collector.outcome,
    abort: (reason) => (controller === undefined ? fail(reason) : controller.abort(reason)),
    resume: () => controller?.resume(),
  };
}

type RawHeaders = Dispatcher.DispatchController['rawHeaders'];

const textOf = (raw: RawHeaders): string[] =>
  ((raw ?? []) as readonly (string | Buffer)[]).map((part) =>
    typeof part === 'string' ? part : part.toString('latin1'),
  );
