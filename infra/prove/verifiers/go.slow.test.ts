import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { newAgreementJwk } from '@countersign/identity';
import { testGateway } from '@countersign/identity/testing';
import { eventually, freePorts, rawRequest } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createKey } from '../../../gateway/src/keys/key-files.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';
import { thingsAt } from '../../../gateway/test/kit/raw-service.ts';
import { go, goModule, hasGo } from '../../stacks/languages.ts';
import { type ServiceProcess, startService } from '../../stacks/service-process.ts';
import { attacks, notExempt } from './attacks.ts';
import { type Relayed, type TamperingRelay, tamperingRelay } from './tampering-relay.ts';

const describeWithGo = hasGo ? describe : describe.skip;

let home: string;
let command: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'countersign-go-'));
  command = join(home, 'testservice');
  if (hasGo) go('packages/verifiers/go', 'build', '-o', command, './internal/testservice');
});
afterAll(() => rmSync(home, { recursive: true }));

describeWithGo('the module in Go', () => {
  test('is formatted', () => {
    const { stdout, stderr } = spawnSync('gofmt', ['-l', '.'], { cwd: goModule, encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['', '']);
  });

  test('needs the standard library alone', () => {
    expect(go('packages/verifiers/go', 'list', '-m', 'all').trim()).toMatch(/^\S+$/);
  });

  test('passes go vet, its own tests and every vector', () => {
    expect(go('packages/verifiers/go', 'vet', './...')).toBe('');
    expect(go('packages/verifiers/go', 'test', './...')).toMatch(/^ok\s/);
  });
});

describeWithGo('a service in Go behind the gateway', () => {
  let relay: TamperingRelay;
  let gateway: GatewayUnderTest;
  let service: ServiceProcess;
  let token: string;
  beforeAll(async () => {
    relay = await tamperingRelay();
    gateway = await gatewayUnderTest({
      hasAgreementKey: true,
      edits: [thingsAt([relay.url], 'identity: { algorithm: ed25519 }')],
    });
    service = await startAndUse();
    token = await gateway.issuer.accessToken();
    // Until its memory of nonces begins.
    await eventually(async () => expect((await get()).status).toBe(200));
  });
  afterEach(() => relay.tamper(undefined));
  afterAll(async () => {
    await service.stop();
    await gateway.close();
    await relay.close();
  });

  /** Starts a service, and sends it the gateway's requests. */
  async function startAndUse(): Promise<ServiceProcess> {
    const GATEWAY_KEYS_URL = `http://127.0.0.1:${gateway.running.ports.internal}/.well-known/jwks.json`;
    const env = { AUDIENCE: 'things', GATEWAY_KEYS_URL, AGREEMENT_KEY: JSON.stringify(newAgreementJwk()) };
    const started = await startService({ command, args: () => [], env });
    relay.sendTo(started.port);
    return started;
  }
  const get = () => gateway.ask('/v1/things/1?a=b', { token });
  const post = () =>
    gateway.ask('/v1/things/1', {
      token,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{"amount":100}'),
    });
  const last = () => relay.seen.at(-1);

  test('handles a request with the identity and the body', async () => {
    expect((await get()).status).toBe(200);
    const { status, body } = await post();
    expect(status).toBe(200);
    expect(JSON.parse(body.toString())).toMatchObject({
      identity: { Kind: 'user', User: { Role: 'agent' }, Context: { IP: '127.0.0.1' } },
      body: '{"amount":100}',
    });
  });

  test('handles an anonymous request on a public route, and a stream', async () => {
    const open = await gateway.ask('/v1/open/1');
    expect([open.status, JSON.parse(open.body.toString()).identity.Kind]).toEqual([200, 'anonymous']);
    const large = Buffer.alloc(200_000, 'x');
    const streamed = await gateway.ask('/v1/upload', { token, method: 'POST', body: large });
    expect([streamed.status, JSON.parse(streamed.body.toString()).body.length]).toEqual([200, large.length]);
  });

  test.each(attacks)('refuses $reason: $name', async ({ edit, reason, post: isPost = false }) => {
    const before = await service.handled();
    relay.tamper(edit);
    const { status, code } = await (isPost ? post() : get());
    expect(last()?.answer.headers.get('x-identity-refused')).toBe(reason);
    expect([last()?.answer.status, status, code]).toEqual([401, 502, 'identity_refused']);
    expect(await service.handled()).toBe(before);
  });

  test.each(notExempt)('refuses an unsigned %s %s', async (method, target) => {
    const before = await service.handled();
    const text = await rawRequest(service.port, `${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1.1 401 [\s\S]*X-Identity-Refused: (signature_missing|target_malformed)\r\n/);
    expect(await service.handled()).toBe(before);
  });

  test.each([
    ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\nX-User-Id: a\r\n b\r\n'],
    ['a space behind a name', 'GET / HTTP/1.1\r\nHost: a\r\nX-User-Id : a\r\n'],
    ['two different lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n'],
    ['a length and chunks', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n'],
  ])('does not handle an unsigned request with %s', async (_name, head) => {
    const before = await service.handled();
    const text = await rawRequest(service.port, `${head}Connection: close\r\n\r\n0\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1.1 40[01] /);
    expect(await service.handled()).toBe(before);
  });

  test('shows a handler of an exempt path no identity headers', async () => {
    const lines = 'X-User-Id: root\r\nX_User_Id: root\r\nX-Identity: gateway\r\nAccept: a/b\r\n';
    const text = await rawRequest(
      service.port,
      `GET /metrics HTTP/1.1\r\nHost: a\r\n${lines}Connection: close\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1.1 200 /);
    expect(text).toContain('a/b');
    expect(text).not.toMatch(/root|gateway/);
  });

  test('accepts exactly one of each of 100 requests that arrive 10 times, all at once', async () => {
    const captured: Relayed[] = [];
    relay.tamper((request) => {
      captured.push(request);
      return { ...request, target: '//' };
    });
    await Promise.all(Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? get() : post())));
    expect(captured).toHaveLength(100);
    const before = await service.handled();
    const answers = await Promise.all(
      captured.map((one) => Promise.all(Array.from({ length: 10 }, () => relay.deliver(one)))),
    );
    for (const copies of answers) {
      const outcomes = copies.map(({ status, headers }) => headers.get('x-identity-refused') ?? status).sort();
      expect(outcomes).toEqual([200, ...Array(9).fill('replayed')]);
    }
    expect(await service.handled()).toBe(before + 100);
  });

  test('follows the gateway to a new key', async () => {
    // The attacks with unknown keys made the other one fetch, and it does so once in 30 s.
    const fresh = await startAndUse();
    const keyidOf = ({ lines }: Relayed) => /keyid="([^"]+)"/.exec(lines.join(' '))?.[1];
    try {
      await eventually(async () => expect((await get()).status).toBe(200));
      const kid = createKey('ed25519', join(dirname(gateway.file), 'keys'), Math.floor(Date.now() / 1000));
      // The gateway reads its keys again every 5 s.
      await eventually(async () => {
        expect((await get()).status).toBe(200);
        expect(keyidOf(last()?.request as Relayed)).toBe(kid);
      }, 20_000);
    } finally {
      relay.sendTo(service.port);
      await fresh.stop();
    }
  });

  test('uses agreed keys, and refuses a changed request as with others', async () => {
    const fresh = await startAndUse();
    try {
      await gateway.reload([thingsAt([relay.url], 'identity: { algorithm: agreed }')]);
      await eventually(async () => {
        expect((await post()).status).toBe(200);
        expect(last()?.request.lines.join(' ')).toContain('alg="hmac-sha256"');
      }, 20_000);
      const before = await fresh.handled();
      const others = attacks.filter(({ reason }) => /^(signature_invalid|content_digest_mismatch)$/.test(reason));
      for (const { edit, post: isPost = false } of others) {
        relay.tamper(edit);
        expect((await (isPost ? post() : get())).code).toBe('identity_refused');
      }
      expect(await fresh.handled()).toBe(before);
    } finally {
      relay.sendTo(service.port);
      await fresh.stop();
    }
  });
});

describeWithGo('a service in Go whose key endpoint is down', () => {
  let endpoint: Server | undefined;
  let service: ServiceProcess;
  afterEach(async () => {
    await service.stop();
    await close();
  });

  async function open(port: number, ...gateways: readonly ReturnType<typeof testGateway>[]) {
    const keys = gateways.flatMap(({ jwks }) => jwks.keys);
    endpoint = createServer((_req, res) => void res.end(JSON.stringify({ keys }))).listen(port, '127.0.0.1');
    await once(endpoint, 'listening');
  }
  async function close() {
    const closed = endpoint?.listening ? once(endpoint, 'close') : undefined;
    endpoint?.close();
    endpoint?.closeAllConnections();
    await closed;
  }

  test('answers 503, recovers, keeps the keys that it knows, and finds new ones', async () => {
    const [port = 0] = await freePorts(1);
    const [first, second] = [testGateway({ audience: 'things' }), testGateway({ audience: 'things' })];
    const env = { AUDIENCE: 'things', GATEWAY_KEYS_URL: `http://127.0.0.1:${port}/` };
    service = await startService({ command, args: () => [], env });
    const ask = async (gateway: ReturnType<typeof testGateway>) => {
      const { path, headers } = gateway.signedRequest({ path: '/a' });
      const { status, headers: answered } = await fetch(service.url + path, { headers });
      return `${status} ${answered.get('x-identity-unavailable') ?? answered.get('x-identity-refused') ?? ''}`.trim();
    };
    const isReady = async () => (await fetch(`${service.url}/readyz`)).status === 200;
    // At start.
    expect([await ask(first), await isReady()]).toEqual(['503 keys_unavailable', false]);
    expect(await service.handled()).toBe(0);
    await open(port, first);
    await eventually(async () => expect([await ask(first), await isReady()]).toEqual(['200', true]));
    // Later.
    await close();
    expect([await ask(first), await ask(second), await isReady()]).toEqual(['200', '503 keys_unavailable', true]);
    const before = await service.handled();
    await open(port, second);
    await eventually(async () => expect(await ask(second)).toBe('200'));
    expect(await ask(first)).toBe('401 key_unknown');
    expect(await service.handled()).toBe(before + 1);
  });
});
