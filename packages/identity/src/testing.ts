import { generateKeyPairSync } from 'node:crypto';
import { contentDigest } from './contract/digest.ts';
import type { IdentityClaims } from './contract/identity.ts';
import { newNonce, newRequestId } from './contract/ids.ts';
import { staticGatewayKeys } from './keys/gateway-keys.ts';
import { memoryReplay } from './replay/replay-memory.ts';
import { prepareIdentity, signRequest } from './sign/sign.ts';

export type TestGatewayOptions = Readonly<{
  /** The audience of the service under test. */
  audience: string;
  nowMs?: () => number;
}>;

export type TestRequest = Readonly<{
  /** Default GET. */
  method?: string;
  /** Path and query. */
  path: string;
  /** Default: the user `user-1` of tenant `tenant-1`, role `member`. */
  as?: IdentityClaims;
  /** Body, sent as JSON. */
  json?: unknown;
  /** Body, sent as is, with `contentType`. */
  body?: string | Uint8Array;
  contentType?: string;
  ip?: string;
  txnToken?: string;
  /** For a WebSocket: `websocket`, and the `sec-websocket-key` that the client sends. */
  upgrade?: Readonly<{ protocol: string; key: string }>;
}>;

export type SignedTestRequest = Readonly<{
  method: string;
  path: string;
  /** Includes `content-type` if there is a body. */
  headers: Record<string, string>;
  /** Undefined if there is no body. */
  body: Buffer | undefined;
}>;

export type TestGateway = Readonly<ReturnType<typeof testGateway>>;

const defaultUser: IdentityClaims = { kind: 'user', userId: 'user-1', role: 'member', tenantId: 'tenant-1' };

/** Creates a gateway for a service's own tests, with a key that exists only in this process. */
export function testGateway({ audience, nowMs = Date.now }: TestGatewayOptions) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const keyid = `test-${newNonce()}`;
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyid, alg: 'EdDSA', use: 'sig' }] };
  return {
    /** Keys for `createVerifier`. Only the test gateway's key. */
    keys: staticGatewayKeys(jwks),
    /** A nonce memory for `createVerifier` that is ready immediately: no request was used before with this new key. */
    replay: memoryReplay({ nowMs: () => nowMs() - 1_000 }),
    /** The public key set, for services that fetch it. */
    jwks,
    /** Signs a request as the gateway would. Send it as is, or change it to test that the service refuses it. */
    signedRequest(request: TestRequest): SignedTestRequest {
      const { method = 'GET', as = defaultUser, ip = '192.0.2.1', txnToken, upgrade } = request;
      const [path = '', query] = splitOnce(request.path);
      const body = bodyOf(request);
      const contentType = body && (request.contentType ?? 'application/json');
      const bodiless = (method === 'GET' || method === 'HEAD') && body === undefined;
      const headers = signRequest(
        { algorithm: 'ed25519', keyid, privateKey },
        prepareIdentity(as, audience),
        {
          method,
          path,
          query: query ?? '',
          requestId: newRequestId(nowMs()),
          ip,
          ...(!bodiless && { contentDigest: contentDigest(body ?? new Uint8Array(0)) }),
          ...(contentType !== undefined && { contentType }),
          ...(txnToken !== undefined && { txnToken }),
          ...(upgrade !== undefined && { upgrade }),
        },
        { createdSec: Math.floor(nowMs() / 1000), lifetimeSec: 30, nonce: newNonce() },
      );
      const all = { ...Object.fromEntries(headers), ...(contentType !== undefined && { 'content-type': contentType }) };
      return { method, path: request.path, headers: all, body };
    },
  };
}

function bodyOf({ json, body }: TestRequest): Buffer | undefined {
  if (json !== undefined) return Buffer.from(JSON.stringify(json));
  return body === undefined ? undefined : Buffer.from(body);
}

function splitOnce(target: string): [path: string, query?: string] {
  const mark = target.indexOf('?');
  return mark === -1 ? [target] : [target.slice(0, mark), target.slice(mark)];
}
