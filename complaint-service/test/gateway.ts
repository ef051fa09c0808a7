import { generateKeyPairSync } from 'node:crypto';
import {
  contentDigest,
  gatewayKeys,
  type IdentityFacts,
  newNonce,
  newRequestId,
  prepareIdentity,
  signRequest,
} from '@countersign/identity';
import { recordingUpstream, type TestClock } from '@countersign/testing';

export type Person = Readonly<{ userId: string; role: string; tenantId: string }>;
export type Unsigned = Readonly<{
  method: string;
  target: string;
  body?: string | undefined;
  contentType?: string;
  facts: IdentityFacts;
  audience: string;
  createdSec?: number;
  txnToken?: string | undefined;
}>;

export const asUser = (person: Person): IdentityFacts => ({ kind: 'user', ...person });

/** A gateway's signing half: a throw-away key, its key set on a real port, and what signs with it. */
export async function testGateway(clock: Pick<TestClock, 'nowMs'>) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const keyid = 'test-gateway-key';
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyid, alg: 'EdDSA', use: 'sig' }] };
  const server = await recordingUpstream({
    answer: (_request, res) => void res.setHeader('content-type', 'application/json').end(JSON.stringify(jwks)),
  });
  const keysUrl = `${server.url}/.well-known/jwks.json`;
  const keys = gatewayKeys({ url: keysUrl });
  keys.start();
  return {
    keys,
    keysUrl,
    /** The headers that a service would receive, for exactly this request. */
    sign({
      method,
      target,
      body,
      contentType,
      facts,
      audience,
      createdSec,
      txnToken,
    }: Unsigned): Record<string, string> {
      const at = target.indexOf('?');
      const hasDigest = method !== 'GET' && method !== 'HEAD';
      const headers = signRequest(
        { algorithm: 'ed25519', keyid, privateKey },
        prepareIdentity(facts, audience),
        {
          method,
          path: at < 0 ? target : target.slice(0, at),
          query: at < 0 ? '' : target.slice(at),
          requestId: newRequestId(),
          ip: '192.0.2.7',
          ...(txnToken !== undefined && { txnToken }),
          ...(hasDigest && { contentDigest: contentDigest(Buffer.from(body ?? '')) }),
          ...(hasDigest && contentType !== undefined && { contentType }),
        },
        { createdSec: createdSec ?? Math.floor(clock.nowMs() / 1000), lifetimeSec: 30, nonce: newNonce() },
      );
      return Object.fromEntries(headers);
    },
    async close() {
      keys.stop();
      await server.close();
    },
  };
}

export type TestGateway = Awaited<ReturnType<typeof testGateway>>;
