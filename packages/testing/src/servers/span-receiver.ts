import { recordingUpstream } from './recording-upstream.ts';

/** A span that arrived over OTLP. */
export type ReceivedSpan = Readonly<{
  service: string;
  traceId: string;
  spanId: string;
  /** Empty if the trace starts with this span. */
  parentSpanId: string;
  name: string;
  kind: 'server' | 'client';
  isFailed: boolean;
  attributes: Readonly<Record<string, string | number>>;
  links: readonly Readonly<{ traceId: string; spanId: string }>[];
  startMs: number;
  endMs: number;
}>;

export type SpanReceiver = Readonly<{
  /** The URL for OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans(): readonly ReceivedSpan[];
  /** Everything that arrived, as text. */
  text(): string;
  close(): Promise<void>;
}>;

/** Starts a collector for OTLP over HTTP with JSON bodies. It keeps every span. */
export async function spanReceiver(): Promise<SpanReceiver> {
  const { url, requests, close } = await recordingUpstream({
    answer: (_request, res) => void res.setHeader('content-type', 'application/json').end('{}'),
  });
  const bodies = () => requests.filter(({ target }) => target === '/v1/traces').map(({ body }) => body.toString());
  return { url, close, spans: () => bodies().flatMap(spansIn), text: () => bodies().join('\n') };
}

// The JSON form of opentelemetry/proto/trace/v1/trace.proto.
type Value = Readonly<{ stringValue?: string; intValue?: number | string; doubleValue?: number }>;
type Attributes = readonly Readonly<{ key: string; value: Value }>[];
type Export = Readonly<{
  resourceSpans: readonly Readonly<{
    resource: Readonly<{ attributes: Attributes }>;
    scopeSpans: readonly Readonly<{ spans: readonly WireSpan[] }>[];
  }>[];
}>;
type WireSpan = Pick<ReceivedSpan, 'traceId' | 'spanId' | 'name'> &
  Readonly<{
    parentSpanId?: string;
    kind: number;
    status?: Readonly<{ code?: number }>;
    attributes: Attributes;
    links?: ReceivedSpan['links'];
    startTimeUnixNano: string;
    endTimeUnixNano: string;
  }>;

const spansIn = (body: string): ReceivedSpan[] =>
  (JSON.parse(body) as Export).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(valuesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => readSpan(service, span)));
  });

const readSpan = (service: string, span: WireSpan): ReceivedSpan => ({
  service,
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId ?? '',
  name: span.name,
  kind: span.kind === 2 ? 'server' : 'client',
  isFailed: span.status?.code === 2,
  attributes: valuesOf(span.attributes),
  links: span.links ?? [],
  startMs: Number(BigInt(span.startTimeUnixNano) / 1_000_000n),
  endMs: Number(BigInt(span.endTimeUnixNano) / 1_000_000n),
});

const valuesOf = (attributes: Attributes): Record<string, string | number> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? value.doubleValue ?? Number(value.intValue)]),
  );
