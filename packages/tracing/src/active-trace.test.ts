import { expect, test } from '@jest/globals';
import { addQuerySpan, inClientSpan, inServerSpan, summaryOf, traceFields, traceHeaders } from './active-trace.ts';
import type { FinishedSpan } from './trace-context.ts';

const request = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'a'.repeat(16),
  isSampled: true,
  isOver: () => false,
};

function recorder() {
  const spans: FinishedSpan[] = [];
  return { spans, tracing: { add: (span: FinishedSpan) => void spans.push(span), close: async () => {} } };
}

test.each([
  ['select * from "complaints" where "id" = $1', { operation: 'SELECT', table: 'complaints' }],
  ['insert into "history" ("id") values ($1)', { operation: 'INSERT', table: 'history' }],
  ['update members set role = $1', { operation: 'UPDATE', table: 'members' }],
  ['with moved as (delete from outbox returning *) select 1', { operation: 'WITH', table: 'outbox' }],
  ['select extract(epoch from least(a, b)) from sessions', { operation: 'SELECT', table: 'sessions' }],
  ['begin', { operation: 'BEGIN', table: undefined }],
  ['', { operation: '', table: undefined }],
])('summarizes a statement without its values: %s', (statement, expected) => {
  expect(summaryOf(statement)).toEqual(expected);
});

test('records a call in a request as a span, and passes its id to the called service', async () => {
  const { spans, tracing } = recorder();
  const sent = await inServerSpan(tracing, request, () =>
    inClientSpan('GET', 'http://10.0.0.1', async () => ({ status: 404, headers: traceHeaders() })),
  );
  expect(spans).toMatchObject([{ name: 'GET', kind: 'client', parentId: 'a'.repeat(16), traceId: request.traceId }]);
  expect(sent.headers).toEqual({ traceparent: `00-${request.traceId}-${spans[0]?.spanId}-01` });
  const attributes = { 'http.response.status_code': 404, 'server.address': '10.0.0.1', 'server.port': 80 };
  expect(spans).toMatchObject([{ attributes, errorType: '404', isFailed: true }]);
});

test('a failed statement has the code of PostgreSQL', () => {
  const { spans, tracing } = recorder();
  inServerSpan(tracing, request, () => {
    addQuerySpan('select 1', 5, Object.assign(new Error('deadlock'), { code: '40P01' }));
    addQuerySpan('select 1', 5, Object.assign(new Error('gone'), { code: 'EPIPE' }));
  });
  expect(spans.map(({ errorType, attributes }) => [errorType, attributes['db.response.status_code']])).toEqual([
    ['40P01', '40P01'],
    ['EPIPE', undefined],
  ]);
});

test('records a failed call as a failed span, and rethrows its error', async () => {
  const { spans, tracing } = recorder();
  const failing = inServerSpan(tracing, request, () =>
    inClientSpan('GET', 'http://10.0.0.1', () => Promise.reject(new TypeError('fetch failed'))),
  );
  await expect(failing).rejects.toThrow('fetch failed');
  expect(spans).toMatchObject([{ errorType: 'TypeError', isFailed: true }]);
});

test('records no span for an unsampled request, and tells the called service so', async () => {
  const { spans, tracing } = recorder();
  const sent = await inServerSpan(tracing, { ...request, isSampled: false }, () =>
    inClientSpan('GET', 'http://10.0.0.1', async () => ({ status: 200, ...traceHeaders() })),
  );
  expect(sent).toEqual({ status: 200, traceparent: `00-${request.traceId}-${'a'.repeat(16)}-00` });
  expect(spans).toEqual([]);
});

test('sends no traceparent outside a request', async () => {
  expect(traceHeaders()).toEqual({});
  expect(await inClientSpan('GET', 'http://10.0.0.1', async () => ({ status: 200, ...traceHeaders() }))).toEqual({
    status: 200,
  });
});

test('a connection that outlives its request has no trace in its log lines', () => {
  let isOver = false;
  inServerSpan(recorder().tracing, { ...request, isOver: () => isOver }, () => {
    expect(traceFields()).toEqual({ trace_id: request.traceId });
    isOver = true;
    expect(traceFields()).toEqual({});
  });
});
