import { generateKeyPairSync } from 'node:crypto';
import {
  contentDigest,
  type IdentityClaims,
  newNonce,
  newRequestId,
  prepareIdentity,
  signRequest,
} from '@countersign/identity';
import type { TestClock } from './clock.ts';
import { recordingUpstream } from './servers/recording-upstream.ts';

export type Unsigned = Readonly<{
  method: string;
  /** The path and query. */
  target: string;
  body?: string | undefined;
  contentType?: string;
  /** Whether the route streams bodies. The signature then has no digest. */
  streamed?: boolean;
  /** The `Sec-WebSocket-Key` of an upgrade to a WebSocket. */
  webSocketKey?: string;
  claims: IdentityClaims;
  /** The service that receives the request. */
  audience: string;
  /** When it was signed, in Unix seconds. By default now, on the gateway's clock. */
  createdSec?: number;
  ip?: string;
  txnToken?: string | undefined;
}>;

export type TestGateway = Awaited<ReturnType<typeof testGateway>>;

/**
 * Starts the signing part of a gateway: a temporary key, its key set on a real port, and a signer for any service and
 * time. Service authors who need no port use `@countersign/identity/testing` instead.
 */
export async function testGateway(clock: Pick<TestClock, 'nowMs'> = { nowMs: Date.now }) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const keyid = 'test-gateway-key';
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyid, alg: 'EdDSA', use: 'sig' }] };
  const keySet = await recordingUpstream({
    answer: (_request, res) => void res.setHeader('content-type', 'application/json').end(JSON.stringify(jwks)),
  });
  return {
    /** The key set URL, for a service's `GATEWAY_KEYS_URL`. */
    keysUrl: `${keySet.url}/.well-known/jwks.json`,
    /** Returns the headers that a service would receive for exactly this request, without `content-type`. */
    sign(unsigned: Unsigned): Record<string, string> {
      const { method, target, body = '', contentType, claims, audience, ip = '192.0.2.7', txnToken } = unsigned;
      const at = target.indexOf('?');
      const hasDigest = method !== 'GET' && method !== 'HEAD' && unsigned.streamed !== true;
      const headers = signRequest(
        { algorithm: 'ed25519', keyid, privateKey },
        prepareIdentity(claims, audience),
        {
          method,
          path: at < 0 ? target : target.slice(0, at),
          query: at < 0 ? '' : target.slice(at),
          requestId: newRequestId(),
          ip,
          ...(hasDigest && { contentDigest: contentDigest(Buffer.from(body)) }),
          ...(hasDigest && contentType !== undefined && { contentType }),
          ...(txnToken !== undefined && { txnToken }),
          ...(unsigned.webSocketKey !== undefined && {
            upgrade: { protocol: 'websocket', key: unsigned.webSocketKey },
          }),
        },
        {
          createdSec: unsigned.createdSec ?? Math.floor(clock.nowMs() / 1000),
          lifetimeSec: 30,
          nonce: newNonce(),
        },
      );
      return Object.fromEntries(headers);
    },
    close: () => keySet.close(),
  };
}
