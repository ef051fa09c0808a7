import { generateKeyPairSync } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { componentList, signatureBase, signBase } from '../src/contract/rfc9421.ts';
import {
  type CallService,
  contentDigest,
  createServiceVerifier,
  emptyContentDigest,
  IdentityRefused,
  memoryReplay,
  type ServiceKey,
  serviceCaller,
  serviceKeyFromJwk,
  signServiceRequest,
} from '../src/index.ts';
import { genuine, nowSec } from './forge.ts';
import { listen } from './wire.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const key: ServiceKey = { keyid: 'complaint-1', privateKey };
const options = { createdSec: nowSec, lifetimeSec: 30, nonce: 'AAECAwQFBgcICQoLDA0ODw' };
const txnToken = 'eyJh.eyJi.c2ln';

const verifierAt = (atSec = nowSec, replay = memoryReplay({ nowMs: () => 0 })) =>
  createServiceVerifier({
    audience: 'gateway-1',
    findKey: (keyid) => (keyid === key.keyid ? { serviceId: 'complaint-service', publicKey } : undefined),
    replay,
    nowMs: () => atSec * 1000,
  });

type Call = { method: string; target: string; headers: (readonly [string, string])[]; body: Buffer };

function call(over: { method?: string; target?: string; body?: string; txnToken?: string | undefined } = {}): Call {
  const { method = 'GET', target = '/internal/users/1?full=1', body = '' } = over;
  const [path = '', query] = target.split('?');
  const token = 'txnToken' in over ? over.txnToken : txnToken;
  const headers = signServiceRequest(
    key,
    {
      audience: 'gateway-1',
      method,
      path,
      query: query === undefined ? '' : `?${query}`,
      contentDigest: contentDigest(Buffer.from(body)),
      ...(token !== undefined && { txnToken: token }),
    },
    options,
  );
  return { method, target, headers: [...headers], body: Buffer.from(body) };
}

async function verdictOn(
  { method, target, headers, body }: Call,
  verifier = verifierAt(),
  notBeforeSec?: number,
): Promise<string> {
  try {
    const head = verifier.verifyHead({ method, target, rawHeaders: headers.flat() });
    await head.complete(body, notBeforeSec);
    return `${head.serviceId} ${head.txnToken ?? 'alone'}`;
  } catch (error) {
    if (error instanceof IdentityRefused) return error.reason;
    throw error;
  }
}

const change = (original: Call, name: string, value: string): Call => ({
  ...original,
  headers: original.headers.map(([known, old]) => [known, known === name ? value : old]),
});
const drop = (original: Call, name: string): Call => ({
  ...original,
  headers: original.headers.filter(([known]) => known !== name),
});

describe('a nested call', () => {
  test('names the calling service and carries the txn-token', async () => {
    expect(await verdictOn(call())).toBe(`complaint-service ${txnToken}`);
    expect(await verdictOn(call({ method: 'POST', body: '{"a":1}' }))).toBe(`complaint-service ${txnToken}`);
  });

  test('without a txn-token acts for no user', async () => {
    expect(await verdictOn(call({ txnToken: undefined }))).toBe('complaint-service alone');
  });

  test('may have been used before the replay memory began, by a service with a fast clock', async () => {
    const begunAt = (sec: number) => verifierAt(nowSec, memoryReplay({ nowMs: () => (sec - 1) * 1000 }));
    expect(await verdictOn(call(), begunAt(nowSec - 4))).toBe('created_before_start');
    expect(await verdictOn(call(), begunAt(nowSec - 5))).toBe(`complaint-service ${txnToken}`);
    // The txn-token is newer than the memory, so the call is too.
    expect(await verdictOn(call(), begunAt(nowSec - 4), nowSec - 4)).toBe(`complaint-service ${txnToken}`);
  });

  const otherKey = generateKeyPairSync('ed25519').privateKey;
  test.each<[string, Call, string]>([
    ['unsigned', { ...call(), headers: [] }, 'signature_missing'],
    ["with the gateway's signature for a service", { ...call(), headers: genuine().headers }, 'tag_mismatch'],
    [
      'under an unknown key',
      {
        ...call(),
        headers: [
          ...signServiceRequest(
            { keyid: 'other', privateKey },
            { audience: 'gateway-1', method: 'GET', path: '/', query: '', contentDigest: emptyContentDigest },
            options,
          ),
        ],
        target: '/',
      },
      'key_unknown',
    ],
    [
      'with another key under this keyid',
      {
        ...call(),
        headers: [
          ...signServiceRequest(
            { keyid: key.keyid, privateKey: otherKey },
            { audience: 'gateway-1', method: 'GET', path: '/', query: '', contentDigest: emptyContentDigest },
            options,
          ),
        ],
        target: '/',
      },
      'signature_invalid',
    ],
    ['on another path', { ...call(), target: '/internal/users/2?full=1' }, 'signature_invalid'],
    ['with another query', { ...call(), target: '/internal/users/1?full=0' }, 'signature_invalid'],
    ['with another method', { ...call(), method: 'DELETE' }, 'signature_invalid'],
    [
      'with another body',
      { ...call({ method: 'POST', body: 'a' }), body: Buffer.from('b') },
      'content_digest_mismatch',
    ],
    ['with a body on a GET', { ...call(), body: Buffer.from('b') }, 'content_digest_mismatch'],
    ['with another txn-token', change(call(), 'txn-token', 'eyJo.eyJi.c2ln'), 'signature_invalid'],
    ['without its txn-token', drop(call(), 'txn-token'), 'coverage_insufficient'],
    [
      'with an added txn-token',
      {
        ...call({ txnToken: undefined }),
        headers: [...call({ txnToken: undefined }).headers, ['txn-token', txnToken]],
      },
      'coverage_insufficient',
    ],
    [
      'with a second txn-token',
      { ...call(), headers: [...call().headers, ['Txn-Token', txnToken]] },
      'header_duplicated',
    ],
    ['with a malformed txn-token', change(call(), 'txn-token', 'x'), 'header_malformed'],
    ['without a digest', drop(call(), 'content-digest'), 'content_digest_missing'],
    ['with a digest of another algorithm', change(call(), 'content-digest', 'md5=:AAAA:'), 'header_malformed'],
  ])('%s is refused', async (_name, changed, reason) => {
    expect(await verdictOn(changed)).toBe(reason);
  });

  test('with hmac-sha256 and the public key as the secret is refused', async () => {
    const raw = `${componentList(['@method', '@path', '@query', 'x-identity-audience', 'content-digest'])};created=${nowSec};expires=${nowSec + 30};nonce="${options.nonce}";keyid="${key.keyid}";alg="hmac-sha256";tag="countersign-service-v2"`;
    const lines = `"@method": GET\n"@path": /\n"@query": ?\n"x-identity-audience": gateway-1\n"content-digest": ${emptyContentDigest}\n`;
    const secret = publicKey.export({ format: 'der', type: 'spki' });
    const signature = signBase({ algorithm: 'hmac-sha256', keyid: key.keyid, secret }, signatureBase(lines, raw));
    const headers: Call['headers'] = [
      ['x-identity-audience', 'gateway-1'],
      ['content-digest', emptyContentDigest],
      ['signature-input', `countersign=${raw}`],
      ['signature', `countersign=:${signature.toString('base64')}:`],
    ];
    expect(await verdictOn({ method: 'GET', target: '/', headers, body: Buffer.alloc(0) })).toBe('algorithm_mismatch');
  });

  test('is accepted once, and only within its lifetime', async () => {
    const verifier = verifierAt();
    expect(await verdictOn(call(), verifier)).toContain('complaint-service');
    expect(await verdictOn(call(), verifier)).toBe('replayed');
    expect(await verdictOn(call(), verifierAt(nowSec + 36))).toBe('expired');
  });
});

describe('callService', () => {
  let open: { port: number; close(): Promise<void> };
  let verdicts: string[];
  let received: IncomingMessage[];
  let callService: CallService;
  /** The tag that the gateway accepts. */
  let known: string;

  beforeEach(async () => {
    verdicts = [];
    received = [];
    known = 'countersign-service-v2';
    const verifier = verifierAt();
    open = await listen(async (req, res) => {
      received.push(req);
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk);
      const headers = req.rawHeaders.flatMap((name, at, all) =>
        at % 2 === 0 ? [[name, all[at + 1] ?? ''] as const] : [],
      );
      verdicts.push(
        await verdictOn(
          { method: req.method ?? '', target: req.url ?? '', headers, body: Buffer.concat(chunks) },
          verifier,
        ),
      );
      if (!String(req.headers['signature-input']).includes(known)) {
        res.writeHead(401, { 'content-type': 'application/problem+json' });
        return void res.end('{"code":"caller_signature_refused"}');
      }
      if (req.url === '/moved') res.writeHead(302, { location: '/elsewhere' });
      if (req.url !== '/silent') res.end('{}');
    });
    callService = serviceCaller({
      gatewayUrl: `http://127.0.0.1:${open.port}`,
      gatewayName: 'gateway-1',
      key,
      nowMs: () => nowSec * 1000,
      timeoutMs: 1_000,
    });
  });
  afterEach(() => open.close());

  test('signs its request', async () => {
    expect((await callService({ method: 'GET', path: '/internal/users/1?full=1', txnToken })).status).toBe(200);
    await callService({ method: 'POST', path: '/internal/notes', json: { text: 'ü' } });
    await callService({ method: 'DELETE', path: '/internal/notes/%C3%A9' });
    expect(verdicts).toEqual([`complaint-service ${txnToken}`, 'complaint-service alone', 'complaint-service alone']);
    expect(received.map((req) => req.headers['content-type'])).toEqual([undefined, 'application/json', undefined]);
  });

  test("signs its content-type and the gateway's name", async () => {
    await callService({ method: 'POST', path: '/internal/notes', json: {} });
    expect(received[0]?.headers).toMatchObject({ 'x-identity-audience': 'gateway-1' });
    expect(received[0]?.headers['signature-input']).toContain('"x-identity-audience" "content-type" "content-digest")');
  });

  test('signs for a gateway of the version before once that refused the signature, with one nonce', async () => {
    known = 'countersign-service-v1';
    const answers = [
      await callService({ method: 'POST', path: '/internal/notes', json: { n: 1 } }),
      await callService({ method: 'GET', path: '/internal/notes' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const inputs = received.map(({ headers }) => String(headers['signature-input']));
    expect(inputs.map((input) => /tag="([^"]+)"/.exec(input)?.[1])).toEqual([
      'countersign-service-v2',
      'countersign-service-v1',
      'countersign-service-v1',
    ]);
    const [first, repeat, next] = inputs.map((input) => /nonce="([^"]+)"/.exec(input)?.[1]);
    expect(repeat).toBe(first);
    expect(next).not.toBe(first);
    known = 'countersign-service-v2';
    expect((await callService({ method: 'GET', path: '/internal/notes' })).status).toBe(200);
  });

  test('returns the 401 of a gateway that refuses both forms', async () => {
    known = 'none';
    const answer = await callService({ method: 'GET', path: '/internal/notes' });
    expect([answer.status, await answer.json()]).toEqual([401, { code: 'caller_signature_refused' }]);
    expect(received).toHaveLength(2);
  });

  test.each(['/a/../b', 'internal', '@evil.test/', '/a b', '/a#b', ':1/x', ''])(
    'refuses a path that would be sent otherwise: %j',
    async (path) => {
      await expect(callService({ method: 'GET', path })).rejects.toThrow();
      expect(received).toHaveLength(0);
    },
  );

  test('does not follow redirects', async () => {
    await expect(callService({ method: 'GET', path: '/moved' })).rejects.toThrow();
    expect(received).toHaveLength(1);
  });

  test('times out after timeoutMs', async () => {
    await expect(callService({ method: 'GET', path: '/silent' })).rejects.toThrow(/timeout|aborted/i);
  });
});

test('serviceKeyFromJwk reads a private JWK and refuses anything else', () => {
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'k-1' };
  expect(serviceKeyFromJwk(jwk)).toMatchObject({ keyid: 'k-1' });
  expect(() => serviceKeyFromJwk({ ...jwk, kid: undefined })).toThrow(RangeError);
  expect(() => serviceKeyFromJwk({ ...jwk, kid: 'a b' })).toThrow(RangeError);
  expect(() => serviceKeyFromJwk({ ...jwk, d: undefined })).toThrow(RangeError);
  expect(() => serviceKeyFromJwk({ kty: 'EC', crv: 'P-256', kid: 'k' })).toThrow(RangeError);
});
