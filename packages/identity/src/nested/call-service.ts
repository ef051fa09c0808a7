import { createPrivateKey } from 'node:crypto';
import { contentDigest } from '../contract/digest.ts';
import { idPattern } from '../contract/grammar.ts';
import { newNonce } from '../contract/ids.ts';
import { type ServiceKey, signServiceRequest } from './service-signature.ts';

export type ServiceCallerOptions = Readonly<{
  /** The gateway's internal listener, e.g. `http://127.0.0.1:8090`. */
  gatewayUrl: string;
  /** This service's own key. */
  key: ServiceKey;
  /** For a whole call, in milliseconds. Default 5 s. */
  timeoutMs?: number;
  nowMs?: () => number;
}>;

export type ServiceCall = Readonly<{
  method: string;
  /** Path and query on the internal listener. */
  path: string;
  /** From the identity of the request being worked on: the call is then made for its user. */
  txnToken?: string | undefined;
  /** Sent as JSON. */
  json?: unknown;
  signal?: AbortSignal;
}>;

export type CallService = (call: ServiceCall) => Promise<Response>;

/**
 * Makes `callService()`, with which a service calls another through the gateway. Redirects are not followed: a signature is for one
 * target.
 *
 * @throws RangeError (from the call) for a path that would be sent differently from how it was written.
 */
export function serviceCaller(options: ServiceCallerOptions): CallService {
  const { gatewayUrl, key, timeoutMs = 5_000, nowMs = Date.now } = options;
  const { origin } = new URL(gatewayUrl);
  return async function callService({ method, path, txnToken, json, signal }) {
    const url = new URL(origin + path);
    if (url.origin !== origin || url.pathname + url.search !== path) {
      throw new RangeError('the path is not in the form in which it would be sent');
    }
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
    const signed = signServiceRequest(
      key,
      {
        method,
        path: url.pathname,
        query: url.search,
        contentDigest: contentDigest(body ?? new Uint8Array(0)),
        ...(txnToken !== undefined && { txnToken }),
      },
      { createdSec: Math.floor(nowMs() / 1000), lifetimeSec: 30, nonce: newNonce() },
    );
    const inTime = AbortSignal.timeout(timeoutMs);
    return fetch(url, {
      method,
      redirect: 'error',
      headers: {
        accept: 'application/json',
        ...(body && { 'content-type': 'application/json' }),
        ...fromPairs(signed),
      },
      signal: signal === undefined ? inTime : AbortSignal.any([inTime, signal]),
      ...(body && { body }),
    });
  };
}

/**
 * Reads a service's private key from a JWK with `kid` (RFC 8037).
 *
 * @throws RangeError on anything but an ed25519 private key whose kid fits the contract.
 */
export function serviceKeyFromJwk(jwk: Readonly<Record<string, unknown>>): ServiceKey {
  const { kty, crv, x, d, kid } = jwk;
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || typeof d !== 'string') {
    throw new RangeError('a service key is an ed25519 private JWK');
  }
  if (typeof kid !== 'string' || !idPattern.test(kid))
    throw new RangeError('a service key needs a kid within the contract');
  return { keyid: kid, privateKey: createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' }) };
}

function fromPairs(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(pairs);
}
