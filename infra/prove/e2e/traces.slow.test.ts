import {
  eventually,
  type ReceivedSpan,
  type SpanReceiver,
  type StartedProcess,
  spanReceiver,
} from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { call, logIn, password } from '../../stacks/client.ts';
import { makePlace, type Place, startEverything, storesToRunOn, writeGatewayConfig } from '../../stacks/stack.ts';

let collector: SpanReceiver;
let place: Place;
let everything: StartedProcess;
let gateway: string;
beforeAll(async () => {
  const [, stores] = storesToRunOn().at(-1) as ReturnType<typeof storesToRunOn>[number];
  collector = await spanReceiver();
  place = await makePlace(stores);
  gateway = `http://127.0.0.1:${place.ports.gateway}`;
  const file = writeGatewayConfig(place, 'gateway.yaml', (config) => {
    config.telemetry = { traces: { sampling: 1 } };
  });
  everything = await startEverything(place, { GATEWAY_CONFIG: file, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
});
afterAll(async () => {
  await everything?.stop();
  await collector?.close();
  await place?.remove();
});

test('a nested call is one trace, from the gateway to the databases of two services', async () => {
  const { token } = await logIn(gateway, 'agent@acme.test');
  const me = await call(`${gateway}/v1/users/me`, { token });
  const filed = await call(`${gateway}/v1/complaints`, {
    token,
    body: { title: 'Traced', description: 'From the gateway to the database.', category: 'other' },
  });
  const assigned = await call(`${gateway}/v1/complaints/${filed.body.id}/assign`, {
    token,
    body: { assignee_id: me.body.id },
  });
  expect(assigned.status).toBe(200);
  const traceId = String(assigned.headers.get('x-request-id')).replaceAll('-', '');
  const spans = await eventually(() => {
    const own = collector.spans().filter((span) => span.traceId === traceId);
    // Each service sends its spans separately.
    expect(new Set(own.map(({ service }) => service)).size).toBe(3);
    expect(own.filter(({ kind }) => kind === 'server')).toHaveLength(4);
    return own;
  });
  const parentOf = ({ parentSpanId }: ReceivedSpan) => spans.find(({ spanId }) => spanId === parentSpanId);
  const wayTo = (span: ReceivedSpan): string[] => {
    const parent = parentOf(span);
    return [...(parent === undefined ? [] : wayTo(parent)), `${span.service} ${span.kind} ${span.name}`];
  };
  const inUsers = spans.find(({ service, name }) => service === 'users-service' && name.startsWith('SELECT '));
  expect(wayTo(inUsers as ReceivedSpan)).toEqual([
    'countersign-gateway server POST /v1/complaints/:id/assign',
    'countersign-gateway client POST',
    'complaint-service server POST /v1/complaints/:id/assign',
    'complaint-service client GET',
    expect.stringMatching(/^countersign-gateway server GET \/internal\//),
    'countersign-gateway client GET',
    expect.stringMatching(/^users-service server GET \/internal\//),
    expect.stringMatching(/^users-service client SELECT \w+$/),
  ]);
  const names = spans.filter(({ service }) => service === 'complaint-service').map(({ name }) => name);
  expect(names).toContain('UPDATE complaints');
  // A span without its parent would look like a second trace.
  expect(spans.filter((span) => parentOf(span) === undefined)).toHaveLength(1);
});

test('spans contain no password, token, title or personal data', async () => {
  const { token } = await logIn(gateway, 'complainant@acme.test');
  await call(`${gateway}/v1/complaints?q=secret-word`, { token });
  await everything.stop();
  const text = collector.text();
  expect(text).toContain('GET /v1/complaints');
  for (const secret of [password, token, 'Traced', 'secret-word', '@acme.test', token.split('.')[1] ?? '']) {
    expect(text).not.toContain(secret);
  }
});
