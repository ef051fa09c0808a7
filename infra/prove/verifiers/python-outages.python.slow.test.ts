import { newAgreementJwk } from '@countersign/identity';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';
import { thingsAt } from '../../../gateway/test/kit/raw-service.ts';
import type { ServiceProcess } from '../../stacks/service-process.ts';
import { type KeyEndpoint, keyEndpoint } from './key-endpoint.ts';
import { type PythonServer, startPythonService } from './python-service.ts';
import { type TamperingRelay, tamperingRelay } from './tampering-relay.ts';

/** One with asyncio, and one with threads. */
const servers: readonly PythonServer[] = ['FastAPI on uvicorn', 'Flask on gunicorn'];
const shared = newAgreementJwk();

let endpoint: KeyEndpoint;
let relay: TamperingRelay;
let first: GatewayUnderTest;
let second: GatewayUnderTest;
const services = new Map<PythonServer, ServiceProcess>();

beforeAll(async () => {
  endpoint = await keyEndpoint();
  relay = await tamperingRelay();
  const env = { GATEWAY_KEYS_URL: endpoint.url, AGREEMENT_KEY: JSON.stringify(shared) };
  await Promise.all(servers.map(async (name) => services.set(name, await startPythonService(name, env))));
  // Each gateway makes keys of its own, like one gateway before and after a rotation.
  const options = { hasAgreementKey: true, edits: [thingsAt([relay.url])] };
  first = await gatewayUnderTest(options);
  second = await gatewayUnderTest(options);
});
afterAll(async () => {
  for (const service of services.values()) await service.stop();
  for (const gateway of [first, second]) await gateway?.close();
  await endpoint?.down();
  await relay?.close();
});

async function ask(name: PythonServer, gateway: GatewayUnderTest): Promise<string> {
  relay.sendTo(services.get(name)?.port ?? 0);
  const { status, code } = await gateway.ask('/v1/things/1', { token: await gateway.issuer.accessToken() });
  return code === undefined ? String(status) : `${status} ${code}`;
}

test('services survive an endpoint that is down at start and later, and a rotation', async () => {
  const expectAll = async (gateway: GatewayUnderTest, answer: string) => {
    for (const name of servers) expect([name, await ask(name, gateway)]).toEqual([name, answer]);
  };
  const reached = () => Promise.all([...services.values()].map((service) => service.handled()));
  await expectAll(first, '503 identity_unavailable');
  expect(await reached()).toEqual([0, 0]);

  await endpoint.up(first.running.ports.internal);
  await eventually(() => expectAll(first, '200'));

  await endpoint.down();
  await expectAll(first, '200');
  const before = await reached();
  await expectAll(second, '503 identity_unavailable');
  expect(await reached()).toEqual(before);

  await endpoint.up(first.running.ports.internal, second.running.ports.internal);
  await eventually(() => expectAll(second, '200'));
  await expectAll(first, '200');
});

test('a key that the gateway has just published is accepted with the first request', async () => {
  await endpoint.up(first.running.ports.internal);
  const service = await startPythonService('FastAPI on uvicorn', { GATEWAY_KEYS_URL: endpoint.url });
  services.set('FastAPI on uvicorn', await stopped(services.get('FastAPI on uvicorn'), service));
  await eventually(async () => expect(await ask('FastAPI on uvicorn', first)).toBe('200'));
  await endpoint.up(first.running.ports.internal, second.running.ports.internal);
  expect(await ask('FastAPI on uvicorn', second)).toBe('200');
  expect(service.output()).toBe('');
});

async function stopped(old: ServiceProcess | undefined, service: ServiceProcess): Promise<ServiceProcess> {
  await old?.stop();
  return service;
}

test.each(servers)('%s agrees on a key with the gateway, and refuses one that it does not know', async (name) => {
  await endpoint.up(first.running.ports.internal);
  const start = () =>
    startPythonService(name, { GATEWAY_KEYS_URL: endpoint.url, AGREEMENT_KEY: JSON.stringify(newAgreementJwk()) });
  const [known, stranger] = await Promise.all([start(), start()]);
  relay.sendTo(known.port);
  const gateway = await gatewayUnderTest({
    hasAgreementKey: true,
    edits: [thingsAt([relay.url], 'identity: { algorithm: agreed }')],
  });
  const token = await gateway.issuer.accessToken();
  const askAndSee = async () => {
    const before = relay.seen.length;
    const { status } = await gateway.ask('/v1/things/1', { token });
    const sent = relay.seen.slice(before).map(({ request }) => request.lines.join());
    return { status, signatures: sent.flatMap((lines) => /;alg="([^"]+)"/.exec(lines)?.[1] ?? []) };
  };
  try {
    await endpoint.up(gateway.running.ports.internal);
    await eventually(async () => expect(await askAndSee()).toEqual({ status: 200, signatures: ['hmac-sha256'] }));
    relay.sendTo(stranger.port);
    expect(await askAndSee()).toEqual({ status: 200, signatures: ['hmac-sha256', 'ed25519'] });
  } finally {
    await Promise.all([known.stop(), stranger.stop(), gateway.close()]);
  }
});
