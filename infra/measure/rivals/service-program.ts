import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import {
  createVerifier,
  type GatewayKeys,
  gatewayKeys,
  type Identity,
  memoryReplay,
  secretGatewayKeys,
  serviceCaller,
  serviceKeyFromJwk,
  verifyIdentityToken,
} from '@countersign/identity';
import * as inExpress from '@countersign/identity/express';
import * as inFastify from '@countersign/identity/fastify';
import express, { type NextFunction, type Request, type Response } from 'express';
import fastify, { type FastifyRequest } from 'fastify';
import { createRemoteJWKSet, jwtVerify } from 'jose';

/*
 * A service as its author would write it. Checks who calls, and responds with a small JSON object, or with what the
 * next service responds.
 */

/** The program's argument, as JSON. */
export type ServiceOptions = Readonly<{
  port: number;
  framework: 'express' | 'fastify';
  /** What the service checks: signed headers, the gateway's token, or the client's access token, once or each time. */
  form: 'headers' | 'token-bound' | 'token-unbound' | 'jose' | 'jose-once';
  /** The URL of the key set, and who signs the tokens. */
  jwks: string;
  issuer: string;
  audience: string;
  /** For `headers`: the file of the secret shared with the gateway. Default: the key set. */
  secretFile?: string;
  /** The next service: its URL, and to call it through the gateway, the own key. */
  next?: string;
  key?: Readonly<Record<string, unknown>> | undefined;
}>;

const { port, framework, form, jwks, issuer, audience, secretFile, next, key }: ServiceOptions = JSON.parse(
  process.argv[2] ?? '',
);
const answer = JSON.stringify({
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  status: 'open',
  title: 'The lift is broken',
});

function openKeys(): GatewayKeys {
  if (secretFile !== undefined) return secretGatewayKeys([{ secret: readFileSync(secretFile) }]);
  const keys = gatewayKeys({ url: jwks, algorithm: form === 'headers' ? 'EdDSA' : 'ES256' });
  keys.start();
  return keys;
}

const bearerOf = ({ headers }: IncomingMessage) => headers.authorization?.slice('Bearer '.length) ?? '';
const tokenOf = ({ headers }: IncomingMessage) => String(headers['countersign-token']);

/** @returns A function that throws unless the caller is known. */
function openCheck(): (request: IncomingMessage) => unknown {
  const expected = { issuer, audience };
  if (form === 'token-bound') {
    const options = { ...expected, keys: openKeys(), replay: memoryReplay() };
    return (request) => {
      const { method = '', url: target = '', rawHeaders } = request;
      return verifyIdentityToken(tokenOf(request), { method, target, rawHeaders }, options);
    };
  }
  const keys = createRemoteJWKSet(new URL(jwks));
  if (form === 'token-unbound') {
    return (request) => jwtVerify(tokenOf(request), keys, { ...expected, algorithms: ['ES256'] });
  }
  const verify = (token: string) => jwtVerify(token, keys, { ...expected, algorithms: ['RS256'] });
  if (form === 'jose') return (request) => verify(bearerOf(request));
  const verified = new Map<string, Awaited<ReturnType<typeof verify>>>();
  return async (request) => {
    const token = bearerOf(request);
    const result = verified.get(token) ?? (await verify(token));
    if ((result.payload.exp ?? 0) * 1_000 < Date.now()) throw new Error('expired');
    verified.set(token, result);
  };
}

/** @returns A function that responds for a request whose caller is known. */
function openAnswer(): (request: IncomingMessage, identity?: Identity) => string | Promise<string> {
  if (next === undefined) return () => answer;
  if (key === undefined) {
    return async ({ headers }) => {
      return (await fetch(next, { headers: { authorization: headers.authorization ?? '' } })).text();
    };
  }
  const call = serviceCaller({ gatewayUrl: new URL(next).origin, key: serviceKeyFromJwk(key) });
  const { pathname: path } = new URL(next);
  return async (_request, identity) =>
    (
      await call({
        method: 'GET',
        path,
        txnToken: identity && 'txnToken' in identity ? identity.txnToken : undefined,
      })
    ).text();
}

const verifier =
  form === 'headers'
    ? createVerifier({
        audience,
        keys: openKeys(),
        replay: memoryReplay(),
        ...(secretFile === undefined && { agreement: 'memory' }),
      })
    : undefined;
const check = verifier === undefined ? openCheck() : undefined;
const respond = openAnswer();
const guard = { accept: ['user', 'service'] } as const;
const paths = ['/v1/complaints/:id', '/internal/:name'];
if (framework === 'express') {
  const app = express().enable('strict routing').enable('case sensitive routing');
  if (verifier !== undefined) app.use(inExpress.verifyIdentity({ verifier }));
  app.get('/healthz', (_req, res) => void res.send('ok'));
  const guards = verifier
    ? inExpress.requireIdentity(guard)
    : async (req: Request, _res: Response, next: NextFunction) => void next(void (await check?.(req)));
  app.get(paths, guards, async (req, res) => {
    res.type('json').send(await respond(req, verifier && req.identity));
  });
  app.listen(port, '127.0.0.1');
} else {
  const app = fastify();
  if (verifier !== undefined) await app.register(inFastify.verifyIdentity, { verifier });
  app.get('/healthz', async () => 'ok');
  const preHandler = verifier
    ? inFastify.requireIdentity(guard)
    : async ({ raw }: FastifyRequest) => void (await check?.(raw));
  for (const path of paths) {
    app.get(path, { preHandler }, async (request, reply) => {
      return reply.type('application/json').send(await respond(request.raw, verifier && request.identity));
    });
  }
  await app.listen({ port, host: '127.0.0.1' });
}
