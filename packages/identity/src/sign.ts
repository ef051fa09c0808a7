import { coveredComponents, identityTag } from './components.ts';
import { contextWithAddress } from './context.ts';
import { isContentDigest } from './digest.ts';
import { type SigningKey, signBase } from './keys.ts';
import type { PreparedIdentity } from './prepare.ts';
import { serializeParams, signatureBase, signatureHeaders } from './rfc9421.ts';
import * as values from './values.ts';

export type RequestToSign = Readonly<{
  method: string;
  /** The raw bytes that are sent, from the first `/` up to `?`. */
  path: string;
  /** Empty, or `?` and what follows it. */
  query: string;
  requestId: string;
  /** The client's address. */
  ip?: string;
  /** Covered in digest mode only, that is, together with `contentDigest`. */
  contentType?: string;
  /** From {@link contentDigest}: digest mode, every method but GET and HEAD, of the empty body too. */
  contentDigest?: string;
  /** For users and services only. */
  txnToken?: string;
  /** The `Upgrade` and `Sec-WebSocket-Key` headers exactly as they are sent. */
  upgrade?: Readonly<{ protocol: string; key: string }>;
}>;

export type SignOptions = Readonly<{ createdSec: number; lifetimeSec: number; nonce: string }>;

/**
 * Signs one attempt of one request.
 *
 * @returns Every header of the contract that applies, in lower case, `signature-input` and `signature` last. Content-Type,
 *   Upgrade and Sec-WebSocket-Key are covered but not repeated.
 * @throws RangeError on a value outside the contract; nothing is ever signed that a verifier would read differently.
 */
export function signRequest(
  key: SigningKey,
  prepared: PreparedIdentity,
  request: RequestToSign,
  options: SignOptions,
): readonly (readonly [name: string, value: string])[] {
  assertWithinContract(prepared, request);
  const { txnToken, contentDigest, upgrade } = request;
  const contentType = contentDigest === undefined ? undefined : request.contentType;
  const context = contextWithAddress(request.ip, prepared.context);
  const { list } = coveredComponents({
    ...prepared.shape,
    txnToken: txnToken !== undefined,
    contentDigest: contentDigest !== undefined,
    contentType: contentType !== undefined,
    upgrade: upgrade !== undefined,
  });
  let lines =
    `"@method": ${request.method}\n"@path": ${request.path}\n"@query": ${request.query || '?'}\n` +
    `"x-request-id": ${request.requestId}\n${prepared.linesBeforeContext}${context}\n${prepared.linesAfterContext}`;
  if (txnToken !== undefined) lines += `"txn-token": ${txnToken}\n`;
  if (contentType !== undefined) lines += `"content-type": ${contentType}\n`;
  if (contentDigest !== undefined) lines += `"content-digest": ${contentDigest}\n`;
  if (upgrade !== undefined) lines += `"upgrade": ${upgrade.protocol}\n"sec-websocket-key": ${upgrade.key}\n`;
  const rawParams = serializeParams(list, {
    createdSec: options.createdSec,
    expiresSec: options.createdSec + options.lifetimeSec,
    nonce: options.nonce,
    keyid: key.keyid,
    algorithm: key.algorithm,
    tag: identityTag,
  });
  const headers: (readonly [string, string])[] = [
    ['x-request-id', request.requestId],
    ...prepared.headersBeforeContext,
    ['x-identity-context', context],
    ...prepared.headersAfterContext,
  ];
  if (txnToken !== undefined) headers.push(['txn-token', txnToken]);
  if (contentDigest !== undefined) headers.push(['content-digest', contentDigest]);
  headers.push(...signatureHeaders(rawParams, signBase(key, signatureBase(lines, rawParams))));
  return headers;
}

function assertWithinContract(prepared: PreparedIdentity, request: RequestToSign): void {
  const { contentType, contentDigest, txnToken, upgrade } = request;
  if (!values.isMethod(request.method)) outside('method');
  if (!values.isPath(request.path) || !values.isQuery(request.query)) outside('target');
  if (!values.isRequestId(request.requestId)) outside('request id');
  if (contentDigest !== undefined && !isContentDigest(contentDigest)) outside('content-digest');
  if (contentDigest !== undefined && contentType !== undefined && !values.isContentType(contentType)) {
    outside('content-type');
  }
  if (txnToken !== undefined) {
    if (prepared.kind === 'anonymous' || prepared.kind === 'gateway') outside('txn-token without a caller');
    if (!values.isTxnToken(txnToken)) outside('txn-token');
  }
  if (upgrade !== undefined) {
    if (request.method !== 'GET') outside('upgrade of another method than GET');
    if (!values.isUpgradeProtocol(upgrade.protocol)) outside('upgrade');
    if (!values.isWebSocketKey(upgrade.key)) outside('sec-websocket-key');
  }
}

function outside(what: string): never {
  throw new RangeError(`${what} is outside the identity contract`);
}
