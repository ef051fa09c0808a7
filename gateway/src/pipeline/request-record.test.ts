import { capturingLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createAccessLog, type RequestRecord } from './request-record.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 120 }),
  fc.string({
    unit: fc.constantFrom('"', '\\', '\r', '\n', '\u0000', '\u001b', '\u2028', '\ud800', 'a'),
    maxLength: 120,
  }),
);
const optional = fc.option(text, { nil: undefined });
const ms = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }), { nil: undefined });
const refusal = fc.constantFrom(
  {},
  { code: 'no_route', fault: 'caller' },
  { code: 'upstream_untrusted', fault: 'configuration' },
);

const records = fc
  .record({
    method: fc.constantFrom('GET', 'M-SEARCH', ''),
    path: text,
    startedAt: fc.constant(0),
    requestId: fc.constant('01a21653-80b6-7a63-b470-1fd27b5a6e0f'),
    refusal,
    route: optional,
    rule: optional,
    identity: fc.constantFrom(undefined, 'user' as const, 'anonymous' as const, 'service' as const),
    claims: fc.option(fc.record({ userId: optional, clientId: optional, tenantId: optional }), { nil: undefined }),
    serviceId: optional,
    transactionId: optional,
    address: optional,
    upstream: optional,
    target: optional,
    attempts: fc.constantFrom(undefined, 1, 2),
    retriedAfter: optional,
    decidedMs: ms,
    waitedMs: ms,
    upstreamMs: ms,
    isInternal: fc.boolean(),
    isUpgrade: fc.boolean(),
    caller: fc.option(
      text.map((iss) => ({ caller: { iss, mapping: '' }, json: `"caller":${JSON.stringify({ iss, mapping: '' })}` })),
      { nil: undefined },
    ),
  })
  .map(({ refusal, ...record }) => ({ ...record, ...refusal }) as RequestRecord);

const membersOf = (line: string) => {
  const { level: _level, time: _time, duration_ms: _ms, ...members } = JSON.parse(line);
  return JSON.stringify(members);
};

test('a log line has the same members in the same order, whichever way it is written', () => {
  const log = capturingLogger();
  let seen = 0;
  const write = createAccessLog(log.logger, () => {});
  fc.assert(
    fc.property(records, fc.boolean(), (record, isAborted) => {
      write(record, 200, isAborted);
      // pino writes a line that has a `detail`.
      write({ ...record, detail: {} } as RequestRecord, 200, isAborted);
      const [plain = '', detailed = ''] = log.text().slice(seen).split('\n');
      seen = log.text().length;
      expect(membersOf(plain)).toBe(membersOf(detailed).replace(',"detail":{}', ''));
    }),
  );
});

test('redacts secrets in the details of a refusal', () => {
  const log = capturingLogger();
  const record = { requestId: 'a', method: 'GET', path: '/a', startedAt: 0 } as RequestRecord;
  createAccessLog(log.logger, () => {})({ ...record, detail: { token: 'canary' } } as RequestRecord, 401, false);
  expect(log.lines()).toMatchObject([{ status: 401, detail: { token: '[redacted]' } }]);
});

test('logs a 5xx as an error', () => {
  const log = capturingLogger();
  const record = { requestId: 'a', method: 'GET', path: '/a', startedAt: 0 } as RequestRecord;
  createAccessLog(log.logger, () => {})(record, 502, false);
  expect(log.lines()).toMatchObject([{ level: 50, status: 502 }]);
});
