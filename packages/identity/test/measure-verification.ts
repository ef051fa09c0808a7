import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import express, { type RequestHandler } from 'express';
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { requireIdentity, verifyIdentity } from '../src/adapters/express.ts';
import { stripResponse } from '../src/adapters/node-request.ts';
import {
  agreeAsGateway,
  agreementKeyFromJwk,
  createVerifier,
  memoryReplay,
  newAgreementJwk,
  newNonce,
  newRequestId,
  prepareIdentity,
  publicAgreementJwk,
  type SigningKey,
  secretGatewayKeys,
  secretKeyid,
  signRequest,
  staticGatewayKeys,
  type VerifierOptions,
} from '../src/index.ts';

// Prints what a service pays to verify one request, in microseconds of CPU, as JSON. Every request is new, and rounds of
// all forms alternate. Run:
// node --expose-gc --conditions=source packages/identity/test/measure-verification.ts

const rounds = 15;
const calls = 1_000;
const audience = 'orders';
const issuer = 'https://id.example.com';

type Form = Readonly<{ name: string; prepare(): Promise<unknown> | unknown; call(prepared: never): unknown }>;
const form = <T>(name: string, prepare: () => Promise<T> | T, call: (prepared: T) => unknown): Form => ({
  name,
  prepare,
  call,
});

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const secret = randomBytes(32);
const gatewayPair = agreementKeyFromJwk(newAgreementJwk());
const serviceJwk = newAgreementJwk(audience);
const agreed = agreeAsGateway(gatewayPair, { audience, key: agreementKeyFromJwk(serviceJwk) });
const keys = staticGatewayKeys({
  keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'EdDSA' }, publicAgreementJwk(gatewayPair)],
});
const prepared = prepareIdentity(
  {
    kind: 'user',
    userId: newRequestId(),
    role: 'agent',
    tenantId: newRequestId(),
    context: { iss: issuer, sid: newRequestId(), authTime: 1_800_000_000, amr: ['pwd'] },
  },
  audience,
);
const others = ['host', 'orders:3000', 'accept', 'application/json', 'user-agent', 'curl/8.14.1'];

function signed(key: SigningKey): string[] {
  const message = { method: 'GET', path: '/orders', query: '?status=open', requestId: newRequestId(), ip: '192.0.2.7' };
  const when = { createdSec: Math.floor(Date.now() / 1000), lifetimeSec: 30, nonce: newNonce() };
  return [...others, ...signRequest(key, prepared, message, when).flat()];
}

const socket = new Socket();
function exchange(rawHeaders: string[]) {
  const req = Object.assign(new IncomingMessage(socket), { method: 'GET', url: '/orders?status=open', rawHeaders });
  return { req, res: new ServerResponse(req) };
}

/** Sends a request through an Express app, and settles when its handler has responded. */
function app(...handlers: readonly RequestHandler[]) {
  let handled = () => {};
  const made = express().enable('strict routing').enable('case sensitive routing');
  for (const handler of handlers) made.use(handler);
  made.get('/orders', (_req, res) => {
    res.json({ ok: true });
    handled();
  });
  return (rawHeaders: string[]) =>
    new Promise<void>((resolve) => {
      handled = resolve;
      const { req, res } = exchange(rawHeaders);
      made(req as never, res as never);
    });
}

/** Bare responses of node:http. */
function respond(wrap: (res: ServerResponse) => void) {
  return () => {
    const { res } = exchange(others);
    wrap(res);
    res.setHeader('content-type', 'application/json');
    res.setHeader('etag', 'W/"1"');
    res.writeHead(200);
    res.end('{}');
  };
}

function signatures(name: string, key: SigningKey, options: Pick<VerifierOptions, 'keys' | 'agreement'>): Form[] {
  const verifierOf = () =>
    createVerifier({ audience, replay: memoryReplay({ nowMs: () => Date.now() - 60_000 }), ...options });
  const alone = verifierOf();
  const inExpress = app(verifyIdentity({ verifier: verifierOf() }), requireIdentity());
  const prepare = () => signed(key);
  return [
    form(name, prepare, (rawHeaders) =>
      alone.verify({ method: 'GET', target: '/orders?status=open', rawHeaders }).then(({ kind }) => kind),
    ),
    form(`${name}, Express`, prepare, inExpress),
  ];
}

async function tokens(alg: 'RS256' | 'ES256'): Promise<Form> {
  const pair = await generateKeyPair(alg);
  const jwks = createLocalJWKSet({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'key-1', alg }] });
  const token = (jti: string) =>
    new SignJWT({ jti, tenant_id: newRequestId(), role: 'agent', sid: newRequestId() })
      .setProtectedHeader({ alg, kid: 'key-1', typ: 'at+jwt' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(newRequestId())
      .setIssuedAt()
      .setExpirationTime('15m')
      .sign(pair.privateKey);
  return form(
    `jose ${alg}`,
    () => token(newRequestId()),
    (text) => jwtVerify(text, jwks, { issuer, audience, algorithms: [alg], typ: 'at+jwt' }),
  );
}

const forms: readonly Form[] = [
  ...signatures('agreed', { algorithm: 'hmac-sha256', ...agreed }, { keys, agreement: { keys: [serviceJwk] } }),
  ...signatures(
    'hmac-sha256',
    { algorithm: 'hmac-sha256', keyid: secretKeyid(secret), secret },
    { keys: secretGatewayKeys([{ secret }]) },
  ),
  ...signatures('ed25519', { algorithm: 'ed25519', keyid: 'key-1', privateKey }, { keys }),
  await tokens('RS256'),
  await tokens('ES256'),
  form('Express alone', () => [...others], app()),
  form(
    'Express, stripResponse',
    () => [...others],
    app((_req, res, next) => {
      stripResponse(res);
      next();
    }),
  ),
  form(
    'response',
    () => others,
    respond(() => {}),
  ),
  form('response, stripResponse', () => others, respond(stripResponse)),
];

const times = new Map<string, number[]>(forms.map(({ name }) => [name, []]));
for (let round = -2; round < rounds; round += 1) {
  const first = (round + forms.length) % forms.length;
  for (const { name, prepare, call } of [...forms.slice(first), ...forms.slice(0, first)]) {
    const given = await Promise.all(Array.from({ length: calls }, prepare));
    // So that no form pays for the garbage of another.
    globalThis.gc?.({ type: 'minor' });
    const before = process.cpuUsage();
    for (const one of given) await call(one as never);
    const { user, system } = process.cpuUsage(before);
    // The first two rounds compile the code.
    if (round >= 0) times.get(name)?.push((user + system) / calls);
  }
}
const median = (all: readonly number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
const µs = (value: number) => Number(value.toFixed(1));
const summary = [...times].map(([name, all]) => [name, { median: µs(median(all)), best: µs(Math.min(...all)) }]);
process.stdout.write(`${JSON.stringify(Object.fromEntries(summary), null, 1)}\n`);
