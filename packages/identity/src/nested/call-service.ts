import { createPrivateKey } from 'node:crypto';
import { contentDigest } from '../contract/digest.ts';
import { idPattern } from '../contract/grammar.ts';
import { newNonce } from '../contract/ids.ts';
import { isPublishedKey } from '../keys/published-keys.ts';
import { defaultGatewayName, type ServiceForm, type ServiceKey, signServiceRequest } from './service-signature.ts';

export type ServiceCallerOptions = Readonly<{
  /** The URL of the gateway's internal listener, such as `http://127.0.0.1:8090`. */
  gatewayUrl: string;
  /** `identity.name` of the called gateway's gateway.yaml. Default `countersign-gateway`. */
  gatewayName?: string;
  /** This service's own key. */
  key: ServiceKey;
  /** Timeout of a whole call, in milliseconds. Default 5000. */
  timeoutMs?: number;
  nowMs?: () => number;
  /** Headers that every call carries besides, such as `traceparent`. The signature does not cover them. */
  headers?: () => Readonly<Record<string, string>>;
}>;

export type ServiceCall = Readonly<{
  method: string;
  /** Path and query on the internal listener. */
  path: string;
  /** The `txnToken` of the identity being served. The call then acts for that user or client. */
  txnToken?: string | undefined;
  /** Body, sent as JSON. */
  json?: unknown;
  signal?: AbortSignal;
}>;

export type CallService = (call: ServiceCall) => Promise<Response>;

/**
 * Creates `callService()`, which calls another service through the gateway. It does not follow redirects, because a
 * signature is valid for one target only.
 *
 * @throws RangeError (from the call) for a path that a URL parser would change before sending it.
 */
export function serviceCaller(options: ServiceCallerOptions): CallService {
  const { gatewayUrl, gatewayName = defaultGatewayName, key, timeoutMs = 5_000, nowMs = Date.now, headers } = options;
  const { origin } = new URL(gatewayUrl);
  let accepted: ServiceForm = 'current';

  return async function callService({ method, path, txnToken, json, signal }) {
    const url = new URL(origin + path);
    if (url.origin !== origin || url.pathname + url.search !== path) {
      throw new RangeError('the path is not in its normalized form, or changes the origin');
    }
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
    const content = body && { 'content-type': 'application/json' };
    const timeout = AbortSignal.timeout(timeoutMs);
    const options = { createdSec: Math.floor(nowMs() / 1000), lifetimeSec: 30, nonce: newNonce() };
    const send = (form: ServiceForm) => {
      const request = {
        audience: gatewayName,
        method,
        path: url.pathname,
        query: url.search,
        contentDigest: contentDigest(body ?? new Uint8Array(0)),
        contentType: content?.['content-type'],
        txnToken,
      };
      return fetch(url, {
        method,
        redirect: 'error',
        headers: {
          ...headers?.(),
          accept: 'application/json',
          ...content,
          ...Object.fromEntries(signServiceRequest(key, request, options, form)),
        },
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
        ...(body && { body }),
      });
    };
    const response = await send(accepted);
    if (!(await refusesSignature(response))) return response;
    await response.body?.cancel();
    // A gateway accepts one of the two forms, and both have the same nonce, so the call is handled at most once.
    const other: ServiceForm = accepted === 'current' ? 'previous' : 'current';
    const second = await send(other);
    if (!(await refusesSignature(second))) accepted = other;
    return second;
  };
}

async function refusesSignature(response: Response): Promise<boolean> {
  if (response.status !== 401) return false;
  const problem = (await response
    .clone()
    .json()
    .catch(() => null)) as { code?: unknown } | null;
  return problem?.code === 'caller_signature_refused';
}

/**
 * Reads a service's private key from a JWK with `kid` (RFC 8037).
 *
 * @throws RangeError unless the JWK is an ed25519 private key with a `kid` within the contract, and not a published
 *   one.
 */
export function serviceKeyFromJwk(jwk: Readonly<Record<string, unknown>>): ServiceKey {
  const { kty, crv, x, d, kid } = jwk;
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || typeof d !== 'string') {
    throw new RangeError('a service key must be an ed25519 private JWK');
  }
  if (isPublishedKey({ kid, x })) throw new RangeError('this private key is published');
  if (typeof kid !== 'string' || !idPattern.test(kid))
    throw new RangeError('a service key needs a kid of 1 to 128 characters from A-Za-z0-9._~:@|-');
  return { keyid: kid, privateKey: createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' }) };
}
