import { generateKeyPairSync } from 'node:crypto';
import { contentDigest } from './contract/digest.ts';
import type { IdentityFacts } from './contract/identity.ts';
import { newNonce, newRequestId } from './contract/ids.ts';
import { type GatewayKeys, staticGatewayKeys } from './keys/gateway-keys.ts';
import type { ReplayStore } from './replay/replay.ts';
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
  as?: IdentityFacts;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is, with `contentType`. */
  body?: string | Uint8Array;
  contentType?: string;
  ip?: string;
  txnToken?: string;
}>;

export type SignedTestRequest = Readonly<{
  method: string;
  path: string;
  /** With `content-type`, where there is a body. */
  headers: Record<string, string>;
  /** Undefined where there is none. */
  body: Buffer | undefined;
}>;

export type TestGateway = Readonly<{
  /** For `createVerifier`: knows the throw-away key and nothing else. */
  keys: GatewayKeys;
  /** For `createVerifier`: remembers nonces, and is ready at once. */
  replay: ReplayStore;
  /** The public key set, for services that fetch it. */
  jwks: Readonly<{ keys: readonly Record<string, unknown>[] }>;
  /** A request as the gateway would send it: send it as it is, or change something and see it refused. */
  signedRequest(request: TestRequest): SignedTestRequest;
}>;

const someUser: IdentityFacts = { kind: 'user', userId: 'user-1', role: 'member', tenantId: 'tenant-1' };

/** A gateway for a service author's own tests, with a key that exists only in this process. */
export function testGateway({ audience, nowMs = Date.now }: TestGatewayOptions): TestGateway {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const keyid = `test-${newNonce()}`;
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyid, alg: 'EdDSA', use: 'sig' }] };
  return {
    keys: staticGatewayKeys(jwks),
    // Nothing was used before this process began: the key did not exist.
    replay: memoryReplay({ nowMs: () => nowMs() - 1_000 }),
    jwks,
    signedRequest(request) {
      const { method = 'GET', as = someUser, ip = '192.0.2.1', txnToken } = request;
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
