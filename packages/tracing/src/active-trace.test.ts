import { expect, test } from '@jest/globals';
import { inClientSpan, inServerSpan, summaryOf, traceHeaders } from './active-trace.ts';
import type { FinishedSpan } from './span.ts';

const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', isSampled: true };

function recorder() {
  const spans: FinishedSpan[] = [];
  return { spans, tracing: { add: (span: FinishedSpan) => void spans.push(span), close: async () => {} } };
}

test.each([
  ['select * from "complaints" where "id" = $1', { operation: 'SELECT', table: 'complaints' }],
  ['insert into "history" ("id") values ($1)', { operation: 'INSERT', table: 'history' }],
  ['update members set role = $1', { operation: 'UPDATE', table: 'members' }],
  ['with moved as (delete from outbox returning *) select 1', { operation: 'WITH', table: 'outbox' }],
  ['begin', { operation: 'BEGIN', table: undefined }],
  ['', { operation: '', table: undefined }],
])('a statement is summed up without its values: %s', (statement, expected) => {
  expect(summaryOf(statement)).toEqual(expected);
});

test('a call in a request is a span whose id the called service sees', async () => {
  const { spans, tracing } = recorder();
  const sent = await inServerSpan(tracing, parent, 'a'.repeat(16), () =>
    inClientSpan(
      'GET',
      () => ({ 'http.response.status_code': 200 }),
      async () => traceHeaders(),
    ),
  );
  expect(spans).toMatchObject([{ name: 'GET', kind: 'client', parentId: 'a'.repeat(16), traceId: parent.traceId }]);
  expect(sent).toEqual({ traceparent: `00-${parent.traceId}-${spans[0]?.spanId}-01` });
});

test('a call that fails is a failed span, and its error passes through', async () => {
  const { spans, tracing } = recorder();
  const failing = inServerSpan(tracing, parent, 'a'.repeat(16), () =>
    inClientSpan(
      'GET',
      () => ({}),
      () => Promise.reject(new TypeError('fetch failed')),
    ),
  );
  await expect(failing).rejects.toThrow('fetch failed');
  expect(spans).toMatchObject([{ errorType: 'TypeError', isFailed: true }]);
});

test('a request that is not sampled makes no span, and says so to the called service', async () => {
  const { spans, tracing } = recorder();
  const sent = await inServerSpan(tracing, { ...parent, isSampled: false }, 'a'.repeat(16), () =>
    inClientSpan(
      'GET',
      () => ({}),
      async () => traceHeaders(),
    ),
  );
  expect(sent).toEqual({ traceparent: `00-${parent.traceId}-${'a'.repeat(16)}-00` });
  expect(spans).toEqual([]);
});

test('outside of a request, calls carry no traceparent', async () => {
  expect(
    await inClientSpan(
      'GET',
      () => ({}),
      async () => traceHeaders(),
    ),
  ).toEqual({});
});
