import { generateKeyPairSync } from 'node:crypto';
import {
  contentDigest,
  type IdentityClaims,
  newNonce,
  newRequestId,
  prepareIdentity,
  signRequest,
} from '@countersign/identity';
import { recordingUpstream } from '@countersign/testing';
import { assertDescribed } from '@countersign/testing/service';
import request, { type Test } from 'supertest';
import { api } from '../../src/routes/api.ts';

export const anonymous: IdentityClaims = { kind: 'anonymous' };
export const gatewayItself: IdentityClaims = { kind: 'gateway' };

export type Call = Readonly<{
  as?: IdentityClaims;
  body?: unknown;
  ip?: string;
  audience?: string;
  /** The content type of the body. Default: JSON. */
  contentType?: string;
  /** Headers of the client, which the gateway passes on unsigned. */
  headers?: Readonly<Record<string, string>>;
}>;

/** The signing part of a gateway: a throw-away key, its key set on a real port, and requests signed with it. */
export async function testGateway() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const keyid = 'test-gateway-key';
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyid, alg: 'EdDSA', use: 'sig' }] };
  const keySet = await recordingUpstream({
    answer: (_req, res) => void res.setHeader('content-type', 'application/json').end(JSON.stringify(jwks)),
  });

  /** Sends a request as the gateway would to the service on this port. A string body is sent unchanged. */
  function call(port: number, method: 'GET' | 'POST' | 'PATCH' | 'DELETE', target: string, options: Call = {}): Test {
    const { as = anonymous, ip = '192.0.2.7', audience = 'auth-service', contentType = 'application/json' } = options;
    const [path = '', query] = target.split('?');
    const hasBody = options.body !== undefined;
    const body = typeof options.body === 'string' ? options.body : hasBody ? JSON.stringify(options.body) : '';
    const headers = signRequest(
      { algorithm: 'ed25519', keyid, privateKey },
      prepareIdentity(as, audience),
      {
        method,
        path,
        query: query === undefined ? '' : `?${query}`,
        requestId: newRequestId(),
        ip,
        ...(method !== 'GET' && { contentDigest: contentDigest(Buffer.from(body)) }),
        ...(hasBody && { contentType }),
      },
      // One second in the future, because a service refuses signatures from the second in which it started.
      { createdSec: Math.floor(Date.now() / 1000) + 1, lifetimeSec: 30, nonce: newNonce() },
    );
    const agent = request(`http://127.0.0.1:${port}`);
    const sent = agent[method.toLowerCase() as 'get' | 'post' | 'patch' | 'delete'](target);
    sent.set(Object.fromEntries(headers)).set({ 'user-agent': 'jest', ...options.headers });
    // As bytes, because Node would encode the headers like a body that is text, in UTF-8.
    if (hasBody) {
      sent.set('content-type', contentType).serialize((bytes) => bytes);
      sent.send(Buffer.from(body));
    }
    // Checks every response of every test against the OpenAPI description.
    return sent.expect((answer) => assertDescribed(api, method, path, answer));
  }

  return { keysUrl: `${keySet.url}/.well-known/jwks.json`, call, close: () => keySet.close() };
}

export type TestGateway = Awaited<ReturnType<typeof testGateway>>;
