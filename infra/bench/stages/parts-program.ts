import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { ConnectionPool, createSocketOpener } from '@countersign/http1-client';
import type { Signed } from '../../../gateway/src/pipeline/exchange.ts';
import { ask } from '../decision/ask.ts';
import { serviceBody, serviceHeaders } from '../site/service-response.ts';
import { type Assembly, assembleGateway, type Held } from './assembly.ts';
import { type BatchServer, batchSize, openBareServer, openListener, startClient } from './lockstep.ts';
import { cpuMicros, Meter } from './meter.ts';
import type { Measurement, Parts, PartsSettings } from './parts.ts';
import { profile, sharesOf } from './profile.ts';

/*
 * Measures every part of a request in one process, on its own core. Standard output is the access log, so the result
 * goes to the parent process as a message. Measures CPU time, which other work on the machine barely affects.
 */

const settings = JSON.parse(process.argv[2] ?? '') as PartsSettings;
const client = startClient(settings.requestsFile, settings.clientCores);

const body = Buffer.from(serviceBody);
const pool = new ConnectionPool(settings.upstreamOrigin, {
  opener: createSocketOpener({ origin: settings.upstreamOrigin, connectTimeoutMs: 1_000 }),
  connections: batchSize,
  headersTimeout: 30_000,
  bodyTimeout: 30_000,
  keepAliveTimeout: 4_000,
});
const held: Held[] = [];
const responses: ServerResponse[] = [];
const bare = await openBareServer((response) => responses.push(response));
const calls: ServerResponse[] = [];
const bareDecision = await openBareServer((response) => calls.push(response));
const decision = await openDecision();
const gateways = await Promise.all(settings.configurations.map(openGateway));

const rounds: Parts[] = [];
for (let round = 0; round < settings.warmUpRounds + settings.rounds; round += 1) {
  const meter = new Meter();
  for (let batch = 0; batch < settings.batches; batch += 1) {
    await measureBare(meter);
    for (const gateway of gateways) await measureGateway(gateway, meter);
    await measureDecision(meter);
  }
  if (round >= settings.warmUpRounds) rounds.push(Object.fromEntries(meter.perRequest()));
}
const shares = sharesOf(
  await profile(async () => {
    for (let batch = 0; batch < 20 * settings.batches; batch += 1) {
      await receive(decision.server, 'answered', new Meter(), 'whole, decision', true);
    }
  }),
);
process.send?.({ rounds, shares } satisfies Measurement, () => process.exit());

type Measured = Readonly<{ algorithm: string; gateway: Assembly; holding: BatchServer; whole: BatchServer }>;

async function openGateway({ algorithm, file }: PartsSettings['configurations'][number]): Promise<Measured> {
  const gateway = await assembleGateway(file);
  const holding = await openListener(gateway.holdingHandlers((request) => held.push(request)));
  return { algorithm, gateway, holding, whole: await openListener(gateway.handlers) };
}

/** A gateway that nginx asks, and the headers of its answers. */
async function openDecision() {
  const { decision: handlers } = await assembleGateway(settings.decisionFile);
  if (handlers === undefined) throw new Error('the configuration has no decision endpoint');
  const server = await openListener(handlers);
  const [path = '', token = ''] = readFileSync(settings.requestsFile, 'utf8').split('\n', 1)[0]?.split(' ') ?? [];
  return { server, headers: await ask({ host: '127.0.0.1', port: server.port }, path, token) };
}

/**
 * Sends three batches of nginx's questions: to Node's server alone, which gives the same answer; through the pipeline
 * alone; and to the gateway.
 */
async function measureDecision(meter: Meter): Promise<void> {
  await measurePipeline(meter);
  await receive(bareDecision, 'arrived', meter, 'bare call in', true);
  await answer(bareDecision, meter, 'bare answer', calls.splice(0), (response) => {
    response.writeHead(200, [...decision.headers]).end();
  });
  await receive(decision.server, 'answered', meter, 'whole, decision', true);
}

/** Runs the pipeline as the gateway does: all stages for one request, then for the next. */
async function measurePipeline(meter: Meter): Promise<void> {
  const { gateway, holding } = gateways.find(({ algorithm }) => algorithm === 'hmac-sha256') as Measured;
  await receive(holding, 'arrived', meter, 'listener in');
  await meter.each('pipeline', held, async ({ arrival }) => {
    await gateway.pipeline(arrival);
    gateway.log(arrival.record, 200, false);
    gateway.count(arrival.record, 200);
  });
  await answer(holding, meter, 'answer of a held request', held.splice(0), ({ response }) => response.end());
}

async function measureBare(meter: Meter): Promise<void> {
  await receive(bare, 'arrived', meter, 'bare in');
  await answer(bare, meter, 'bare out', responses.splice(0), (response) => {
    response.writeHead(200, [...serviceHeaders]).end(body);
  });
}

/**
 * Sends three batches: through the stages and to the service, to a server that answers immediately, and through the
 * whole gateway.
 */
async function measureGateway({ algorithm, gateway, holding, whole }: Measured, meter: Meter): Promise<void> {
  const signed = await measureStages(algorithm, gateway, holding, meter);
  const headers = gateway.responseHeaders(signed);
  await receive(holding, 'arrived', meter, 'listener in');
  await answer(holding, meter, 'response out', held.splice(0), ({ response }) =>
    response.writeHead(200, headers).end(body),
  );
  await receive(whole, 'answered', meter, `whole, ${algorithm}`);
  await exchangeAlone(gateway.upstreamRequest(signed), meter);
}

/** Sends a batch of identical requests with only the upstream client. */
async function exchangeAlone(request: ReturnType<Assembly['upstreamRequest']>, meter: Meter): Promise<void> {
  const before = cpuMicros();
  await new Promise<void>((resolve, reject) => {
    let open = batchSize;
    for (let index = 0; index < batchSize; index += 1) {
      pool.dispatch(request, {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd() {
          open -= 1;
          if (open === 0) resolve();
        },
        onResponseError: (_controller, error) => reject(error),
      });
    }
  });
  meter.add('upstream client', cpuMicros() - before, batchSize);
}

async function measureStages(
  algorithm: string,
  { stages, ...gateway }: Assembly,
  holding: BatchServer,
  meter: Meter,
): Promise<Signed> {
  await receive(holding, 'arrived', meter, 'listener in');
  const batch = held.splice(0);
  const incoming = await meter.each('sanitize', batch, ({ arrival }) => stages.sanitize(arrival));
  const matched = await meter.each('match', incoming, stages.match);
  await meter.each('authenticate, first sight', matched, gateway.atFirstSight());
  // Fills the cache in the first rounds.
  for (const request of matched) await stages.authenticate(request);
  const authenticated = await meter.each('authenticate, cached', matched, stages.authenticate);
  const permitted = await meter.each('authorize', authenticated, stages.authorize);
  const admitted = await meter.each('limit', permitted, stages.limit);
  const signed = await meter.each(`sign, ${algorithm}`, admitted, stages.sign);
  const answered = holding.answered();
  const before = cpuMicros();
  const forwarded = signed.map((request, index) => gateway.forwardHttp(request, (batch[index] as Held).response));
  meter.add('request out', cpuMicros() - before, signed.length);
  await Promise.all([...forwarded, answered]);
  meter.add('forward', cpuMicros() - before, signed.length);
  const records = signed.map(({ record }) => record);
  await meter.each('log', records, (record) => gateway.log(record, 200, false));
  await meter.each('metrics', records, (record) => gateway.count(record, 200));
  return signed[0] as Signed;
}

async function receive(
  server: BatchServer,
  until: 'arrived' | 'answered',
  meter: Meter,
  part: string,
  asksAsNginx = false,
): Promise<void> {
  const done = server[until]();
  client.send({ port: server.port, asksAsNginx });
  const before = cpuMicros();
  await done;
  meter.add(part, cpuMicros() - before, batchSize);
}

async function answer<Waiting>(
  server: BatchServer,
  meter: Meter,
  part: string,
  waiting: readonly Waiting[],
  respond: (one: Waiting) => void,
): Promise<void> {
  const answered = server.answered();
  const before = cpuMicros();
  for (const one of waiting) respond(one);
  await answered;
  meter.add(part, cpuMicros() - before, waiting.length);
}
