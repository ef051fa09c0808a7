import { contextWithAddress } from '../contract/context.ts';
import { coveredComponents, coveredRules, identityTag, type RequestToSign } from '../contract/contract.ts';
import { isMethod, isPath, isQuery, uuidV7 } from '../contract/grammar.ts';
import { serializeParams, signatureBase, signatureHeaders } from '../contract/rfc9421.ts';
import { type SigningKey, signBase } from '../keys/keys.ts';
import type { PreparedIdentity } from './prepare.ts';

export type SignOptions = Readonly<{ createdSec: number; lifetimeSec: number; nonce: string }>;

const requestRules = coveredRules
  .map((rule, index) => ({ ...rule, bit: 1 << index, line: `"${rule.name}": ` }))
  .filter(({ name, fromRequest }) => fromRequest !== undefined && name !== 'x-request-id');
const requestIdBit = 1 << coveredRules.findIndex(({ name }) => name === 'x-request-id');

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
  assertTarget(request);
  const context = contextWithAddress(request.ip, prepared.context);
  const headers: (readonly [string, string])[] = [
    ['x-request-id', request.requestId],
    ...prepared.headersBeforeContext,
    ['x-identity-context', context],
    ...prepared.headersAfterContext,
  ];
  let covered = prepared.covered | requestIdBit;
  let lines =
    `"@method": ${request.method}\n"@path": ${request.path}\n"@query": ${request.query || '?'}\n` +
    `"x-request-id": ${request.requestId}\n${prepared.linesBeforeContext}${context}\n${prepared.linesAfterContext}`;
  for (const rule of requestRules) {
    const value = rule.fromRequest?.(request);
    if (value === undefined || (rule.coveredWith === 'content-digest' && request.contentDigest === undefined)) continue;
    if (rule.present[prepared.kind] === undefined || !rule.grammar.matches(value)) outside(rule.name);
    covered |= rule.bit;
    lines += `${rule.line}${value}\n`;
    if (rule.stripped) headers.push([rule.name, value]);
  }
  const rawParams = serializeParams(coveredComponents(covered).list, {
    createdSec: options.createdSec,
    expiresSec: options.createdSec + options.lifetimeSec,
    nonce: options.nonce,
    keyid: key.keyid,
    algorithm: key.algorithm,
    tag: identityTag,
  });
  headers.push(...signatureHeaders(rawParams, signBase(key, signatureBase(lines, rawParams))));
  return headers;
}

function assertTarget({ method, path, query, requestId, upgrade }: RequestToSign): void {
  if (!isMethod(method)) outside('method');
  if (!isPath(path) || !isQuery(query)) outside('target');
  if (!uuidV7.matches(requestId)) outside('request id');
  if (upgrade !== undefined && method !== 'GET') outside('upgrade of another method than GET');
}

function outside(what: string): never {
  throw new RangeError(`${what} is outside the identity contract`);
}
