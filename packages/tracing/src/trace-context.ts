import { randomFillSync } from 'node:crypto';

/** A span's place in its trace. Ids are lower-case hex: 32 digits for a trace, 16 for a span. */
export type SpanContext = Readonly<{ traceId: string; spanId: string }>;

/** What a `traceparent` contains: the caller's span, and whether the caller records the trace. */
export type Parent = SpanContext & Readonly<{ isSampled: boolean }>;

// Version ff is forbidden. Later versions may have more fields (W3C Trace Context, sections 3.2.2 and 4).
const grammar = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const allZeros = /^0+$/;

/** Reads a `traceparent`. @returns Undefined if it is absent or invalid. The trace then starts here. */
export function parseTraceparent(text: string | undefined): Parent | undefined {
  if (text === undefined) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = grammar.exec(text) ?? [];
  if (version === undefined || (version === '00' && more !== undefined)) return undefined;
  if (allZeros.test(traceId) || allZeros.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const traceparentOf = ({ traceId, spanId }: SpanContext, isSampled: boolean): string =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;

// Random bytes for many ids at once, because one system call per id would cost more than the id itself.
const pool = Buffer.alloc(2_048);
let used = pool.length;

export function newSpanId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 8;
  const id = pool.toString('hex', used - 8, used);
  return allZeros.test(id) ? newSpanId() : id;
}

// The last 14 digits are random in every version of the specification that defines which ones are.
const randomFrom = 32 - 13;
const randomRange = 16 ** 13;

export type Sampler = (traceId: string) => boolean;

/**
 * Returns a sampler. All processes with the same ratio make the same decision for a trace.
 *
 * @param ratio A number from 0 to 1.
 */
export function createSampler(ratio: number): Sampler {
  if (ratio >= 1) return () => true;
  const end = Math.floor(ratio * randomRange)
    .toString(16)
    .padStart(13, '0');
  // Lower-case hex texts of the same length sort like their numbers.
  return (traceId) => traceId.slice(randomFrom) < end;
}

export type FinishedSpan = SpanContext &
  Readonly<{
    name: string;
    kind: 'server' | 'client';
    /** The id of the span that caused this one. Undefined if the trace starts with this span. */
    parentId: string | undefined;
    /** Unix milliseconds. */
    startMs: number;
    endMs: number;
    /** Named after OpenTelemetry's semantic conventions. They contain no secrets, subjects or queries. */
    attributes: Readonly<Record<string, string | number | undefined>>;
    /** `error.type`: what went wrong. Also set if the caller is at fault and the span has not failed. */
    errorType?: string | undefined;
    isFailed?: boolean;
    /** The span of an untrusted caller. */
    link?: SpanContext | undefined;
  }>;

/** Where to send spans, and which service sends them. */
export type TracingOptions = Readonly<{
  /** The value of `service.name`. */
  service: string;
  version?: string | undefined;
  /** The collector's base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT. Spans are sent to `/v1/traces` below it. */
  endpoint: string;
  /** Logs a warning when sending starts to fail. */
  logger: Readonly<{ warn(fields: object, message: string): void }>;
}>;
