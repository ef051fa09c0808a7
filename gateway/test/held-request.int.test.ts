import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { newAgreementJwk } from '@countersign/identity';
import { eventually } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { type AgreedService, agreedService } from './kit/agreed-service.ts';
import { thingsAt } from './kit/raw-service.ts';

type Held = Readonly<{ method: string; url: string; rawHeaders: readonly string[]; body: Buffer }>;

/** Sends a request to the service unchanged. */
async function deliver(service: AgreedService, { method, url, rawHeaders, body }: Held): Promise<IncomingMessage> {
  const sent = request(service.url + url, { method, headers: [...rawHeaders], agent: false });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return answer;
}

/**
 * An attacker between the gateway and a service. It holds each request that is signed with an agreed key and answers
 * `401 key_unknown`, for which it needs no key. Everything else passes.
 */
async function attackerBefore(service: AgreedService) {
  const held: Held[] = [];
  const passed: Held[] = [];
  const attacker = { held, passed, url: '', onHeld: async (_message: Held) => {}, close };
  const onRequest = async (req: IncomingMessage, res: ServerResponse) => {
    const { method = '', url = '', rawHeaders } = req;
    const message = { method, url, rawHeaders, body: await buffer(req) };
    if (inputOf(message).includes('alg="hmac-sha256"')) {
      held.push(message);
      await attacker.onHeld(message);
      res.writeHead(401, { 'x-identity-refused': 'key_unknown', 'content-type': 'application/problem+json' }).end('{}');
      return;
    }
    if (inputOf(message) !== '') passed.push(message);
    const answer = await deliver(service, message);
    res.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
    answer.pipe(res);
  };
  const server = createServer((req, res) => void onRequest(req, res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  attacker.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return attacker;

  async function close() {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }
}

const inputOf = ({ rawHeaders }: Held) => rawHeaders.find((text) => text.startsWith('countersign=(')) ?? '';
const onceOf = (message: Held) => /;created=\d+;expires=\d+;nonce="[^"]+"/.exec(inputOf(message))?.[0];

describe('an attacker between the gateway and a service holds a POST and answers key_unknown', () => {
  let service: AgreedService;
  let attacker: Awaited<ReturnType<typeof attackerBefore>>;
  let gateway: GatewayUnderTest;
  beforeEach(async () => {
    service = await agreedService();
    attacker = await attackerBefore(service);
  });
  afterEach(async () => {
    await gateway.close();
    await attacker.close();
    await service.close();
  });

  async function postThrough(...targets: readonly string[]) {
    gateway = await gatewayUnderTest({
      hasAgreementKey: true,
      edits: [thingsAt(targets, 'identity: { algorithm: agreed }, retry: { attempts: 1 }')],
    });
    const keysUrl = `http://127.0.0.1:${gateway.running.ports.internal}/.well-known/jwks.json`;
    await service.trust(keysUrl, { keys: [newAgreementJwk()] });
    await eventually(async () => {
      const { upstreams } = (await (await gateway.admin('/upstreams')).json()) as {
        upstreams: { name: string; identity: { uses: string } }[];
      };
      expect(upstreams.find(({ name }) => name === 'things')?.identity.uses).toBe('agreed');
    });
    const token = await gateway.issuer.accessToken();
    return () => gateway.ask('/v1/things/1', { token, method: 'POST', body: Buffer.from('{"amount":100}') });
  }
  const handled = () => service.arrived.filter(({ outcome }) => outcome === '200');

  test('and delivers it after the repeat: exactly one is handled', async () => {
    const post = await postThrough(attacker.url);
    expect((await post()).status).toBe(200);
    const [held] = attacker.held as [Held];
    const [repeat] = attacker.passed as [Held];
    const answer = await deliver(service, held);
    expect([answer.statusCode, answer.headers['x-identity-refused']]).toEqual([401, 'replayed']);
    expect(handled()).toMatchObject([{ method: 'POST', alg: 'ed25519' }]);
    // The service forgets a nonce when its signature has expired, so the repeat must not last longer.
    expect(onceOf(repeat)).toMatch(/nonce/);
    expect(onceOf(repeat)).toBe(onceOf(held));
  });

  test('and delivers it before the repeat: exactly one is handled', async () => {
    const post = await postThrough(attacker.url);
    let early: IncomingMessage | undefined;
    attacker.onHeld = async (message) => {
      early = await deliver(service, message);
    };
    const { status, code } = await post();
    expect(early?.statusCode).toBe(200);
    expect(handled()).toHaveLength(1);
    expect([status, code]).toEqual([502, 'identity_refused']);
  });

  test('and the repeat finds no connection at first: exactly one is handled', async () => {
    const other = await attackerBefore(service);
    attacker.onHeld = () => other.close();
    other.onHeld = () => attacker.close();
    const post = await postThrough(attacker.url, other.url);
    expect((await post()).status).toBe(200);
    const [held] = [...attacker.held, ...other.held] as [Held];
    expect((await deliver(service, held)).headers['x-identity-refused']).toBe('replayed');
    expect(handled()).toHaveLength(1);
    await other.close();
  });
});
