import { contextWithAddress, serializeContext } from '../contract/context.ts';
import {
  type CoveredMask,
  coveredComponents,
  coveredRules,
  type HeaderRule,
  identityTag,
  type RequestToSign,
} from '../contract/contract.ts';
import { isMethod, isPath, isQuery, uuidV7 } from '../contract/grammar.ts';
import type { IdentityFacts } from '../contract/identity.ts';
import { componentLine, serializeParams, signatureBase, signatureHeaders } from '../contract/rfc9421.ts';
import { type SigningKey, signBase } from '../keys/keys.ts';

type Header = readonly [name: string, value: string];

/** Everything of a signed request that one token and one audience decide, in the form that is signed and sent. */
export type PreparedIdentity = Readonly<{
  kind: IdentityFacts['kind'];
  /** The headers below, as bits. */
  covered: CoveredMask;
  /** Lines up to and including `"x-identity-context": `, to which the request adds its address. */
  linesBeforeContext: string;
  /** `x-identity-context` without `ip`. */
  context: string;
  /** Lines after the context, each ending in a line feed. */
  linesAfterContext: string;
  headersBeforeContext: readonly Header[];
  headersAfterContext: readonly Header[];
}>;

const contextAt = coveredRules.findIndex(({ name }) => name === 'x-identity-context');

/**
 * Checks an identity and makes its fixed parts, once per token and audience.
 *
 * @throws RangeError on a value outside the contract. A gateway refuses such a token; it never cleans one up.
 */
export function prepareIdentity(facts: IdentityFacts, audience: string): PreparedIdentity {
  const before: Header[] = [];
  const after: Header[] = [];
  let covered = 1 << contextAt;
  coveredRules.forEach((rule, index) => {
    const value = rule.fromToken?.(facts, audience);
    if (rule.fromToken === undefined || (value === undefined && !isRequired(rule, facts))) return;
    (index < contextAt ? before : after).push([rule.name, checked(rule, value)]);
    covered |= 1 << index;
  });
  return {
    kind: facts.kind,
    covered,
    linesBeforeContext: `${lines(before)}"x-identity-context": `,
    context: serializeContext(facts.context ?? {}),
    linesAfterContext: lines(after),
    headersBeforeContext: before,
    headersAfterContext: after,
  };
}

/** A header of a user whom the service acts for is as required as that of a user. */
function isRequired(rule: HeaderRule, facts: IdentityFacts): boolean {
  const presence = rule.present[facts.kind];
  return presence === 'all-or-none' ? facts.kind === 'service' && facts.user !== undefined : presence === 'required';
}

function lines(headers: readonly Header[]): string {
  return headers.map(([name, value]) => `${componentLine(name, value)}\n`).join('');
}

function checked({ name, grammar }: HeaderRule, value: string | undefined): string {
  if (typeof value !== 'string' || !grammar.matches(value)) refuseValue(name);
  return value;
}

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
    if (rule.present[prepared.kind] === undefined || !rule.grammar.matches(value)) refuseValue(rule.name);
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
  if (!isMethod(method)) refuseValue('method');
  if (!isPath(path) || !isQuery(query)) refuseValue('target');
  if (!uuidV7.matches(requestId)) refuseValue('request id');
  if (upgrade !== undefined && method !== 'GET') refuseValue('upgrade of another method than GET');
}

function refuseValue(what: string): never {
  throw new RangeError(`${what} is outside the identity contract`);
}
