import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSampler, newSpanId, parseTraceparent, traceparentOf } from './trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

// W3C Trace Context section 3.2, and what its section 4 says about later versions.
test.each([
  ['sampled', `00-${traceId}-${spanId}-01`, { traceId, spanId, isSampled: true }],
  ['not sampled', `00-${traceId}-${spanId}-00`, { traceId, spanId, isSampled: false }],
  ['with flags from later versions', `00-${traceId}-${spanId}-03`, { traceId, spanId, isSampled: true }],
  ['from a later version with more fields', `cc-${traceId}-${spanId}-01-more`, { traceId, spanId, isSampled: true }],
  ['absent', undefined, undefined],
  ['empty', '', undefined],
  ['in version 00 with more fields', `00-${traceId}-${spanId}-01-more`, undefined],
  ['in the forbidden version', `ff-${traceId}-${spanId}-01`, undefined],
  ['in upper case', `00-${traceId.toUpperCase()}-${spanId}-01`, undefined],
  ['with an all-zero trace id', `00-${'0'.repeat(32)}-${spanId}-01`, undefined],
  ['with an all-zero span id', `00-${traceId}-${'0'.repeat(16)}-01`, undefined],
  ['with spaces', ` 00-${traceId}-${spanId}-01`, undefined],
  ['repeated', `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`, undefined],
])('reads a traceparent that is %s', (_case, text, expected) => {
  expect(parseTraceparent(text)).toEqual(expected);
});

test('reads what it writes', () => {
  const hex = (digits: number) =>
    fc.bigInt({ min: 1n, max: 16n ** BigInt(digits) - 1n }).map((id) => id.toString(16).padStart(digits, '0'));
  fc.assert(
    fc.property(hex(32), hex(16), fc.boolean(), (trace, span, isSampled) => {
      const context = { traceId: trace, spanId: span };
      expect(parseTraceparent(traceparentOf(context, isSampled))).toEqual({ ...context, isSampled });
    }),
  );
});

test('generates different span ids, even beyond one batch of random bytes', () => {
  const ids = Array.from({ length: 1_000 }, newSpanId);
  expect(new Set(ids).size).toBe(1_000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
});

describe('sampling', () => {
  test.each([
    [0, '0'.repeat(32), false],
    [0, 'f'.repeat(32), false],
    [1, 'f'.repeat(32), true],
    [0.5, `${'f'.repeat(19)}7${'f'.repeat(12)}`, true],
    [0.5, `${'0'.repeat(19)}8${'0'.repeat(12)}`, false],
  ])('with ratio %p, trace %p is sampled: %p', (ratio, id, expected) => {
    expect(createSampler(ratio)(id)).toBe(expected);
  });

  test('a trace that is sampled at a smaller ratio is sampled at every larger one', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(share, share, fc.uuid({ version: 7 }), (a, b, uuid) => {
        const id = uuid.replaceAll('-', '');
        if (createSampler(Math.min(a, b))(id)) expect(createSampler(Math.max(a, b))(id)).toBe(true);
      }),
    );
  });
});
