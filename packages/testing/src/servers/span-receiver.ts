import { recordingUpstream } from './recording-upstream.ts';

/** A span that arrived over OTLP. */
export type ReceivedSpan = Readonly<ReturnType<typeof readSpan>>;

export type SpanReceiver = Awaited<ReturnType<typeof spanReceiver>>;

/** Starts a collector for OTLP over HTTP with JSON bodies. It keeps every span. `url` is OTEL_EXPORTER_OTLP_ENDPOINT. */
export async function spanReceiver() {
  const { url, requests, close } = await recordingUpstream({
    answer: (_request, res) => void res.setHeader('content-type', 'application/json').end('{}'),
  });
  const bodies = () => requests.filter(({ target }) => target === '/v1/traces').map(({ body }) => body.toString());
  return { url, close, spans: () => bodies().flatMap(spansIn), text: () => bodies().join('\n') };
}

// The JSON form of opentelemetry/proto/trace/v1/trace.proto.
type Value = { stringValue?: string; intValue?: number | string; doubleValue?: number };
type Attributes = { key: string; value: Value }[];
type Export = { resourceSpans: { resource: { attributes: Attributes }; scopeSpans: { spans: WireSpan[] }[] }[] };
type WireSpan = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  status?: { code?: number };
  attributes: Attributes;
  links?: { traceId: string; spanId: string }[];
  startTimeUnixNano: string;
  endTimeUnixNano: string;
};

const spansIn = (body: string): ReceivedSpan[] =>
  (JSON.parse(body) as Export).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(valuesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => readSpan(service, span)));
  });

const readSpan = (service: string, span: WireSpan) => ({
  service,
  traceId: span.traceId,
  spanId: span.spanId,
  /** Empty if the trace starts with this span. */
  parentSpanId: span.parentSpanId ?? '',
  name: span.name,
  kind: span.kind === 2 ? ('server' as const) : ('client' as const),
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
