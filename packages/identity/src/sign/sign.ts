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

/** The part of a signed request that depends only on the token and the audience, already serialized. */
export type PreparedIdentity = Readonly<{
  kind: IdentityFacts['kind'];
  /** The headers of this type, as bits. */
  covered: CoveredMask;
  /**
   * Signature base up to and including `"x-identity-context": `. `signRequest` appends the context with the client's
   * address.
   */
  linesBeforeContext: string;
  /** `x-identity-context` without `ip`. */
  context: string;
  /** Signature base after the context; each line ends in a line feed. */
  linesAfterContext: string;
  headersBeforeContext: readonly Header[];
  headersAfterContext: readonly Header[];
}>;

const contextIndex = coveredRules.findIndex(({ name }) => name === 'x-identity-context');

/**
 * Validates an identity and serializes its fixed parts, once per token and audience.
 *
 * @throws RangeError on a value outside the contract. The gateway refuses such a token and never repairs it.
 */
export function prepareIdentity(facts: IdentityFacts, audience: string): PreparedIdentity {
  const before: Header[] = [];
  const after: Header[] = [];
  let covered = 1 << contextIndex;
  coveredRules.forEach((rule, index) => {
    const value = rule.fromToken?.(facts, audience);
    if (rule.fromToken === undefined || (value === undefined && !isRequired(rule, facts))) return;
    (index < contextIndex ? before : after).push([rule.name, requireValid(rule, value)]);
    covered |= 1 << index;
  });
  return {
    kind: facts.kind,
    covered,
    linesBeforeContext: `${serializeLines(before)}"x-identity-context": `,
    context: serializeContext(facts.context ?? {}),
    linesAfterContext: serializeLines(after),
    headersBeforeContext: before,
    headersAfterContext: after,
  };
}

/** A service that acts for a user needs all of the user's headers. */
function isRequired(rule: HeaderRule, facts: IdentityFacts): boolean {
  const presence = rule.present[facts.kind];
  return presence === 'all-or-none' ? facts.kind === 'service' && facts.user !== undefined : presence === 'required';
}

function serializeLines(headers: readonly Header[]): string {
  return headers.map(([name, value]) => `${componentLine(name, value)}\n`).join('');
}

function requireValid({ name, grammar }: HeaderRule, value: string | undefined): string {
  if (typeof value !== 'string' || !grammar.matches(value)) refuseValue(name);
  return value;
}

export type SignOptions = Readonly<{ createdSec: number; lifetimeSec: number; nonce: string }>;

const requestRules = coveredRules
  .map((rule, index) => ({ ...rule, bit: 1 << index, line: `"${rule.name}": ` }))
  .filter(({ name, fromRequest }) => fromRequest !== undefined && name !== 'x-request-id');
const requestIdBit = 1 << coveredRules.findIndex(({ name }) => name === 'x-request-id');

/**
 * Signs one attempt at one request. A retry needs a new nonce and a new signature.
 *
 * @returns The headers that the gateway adds, with lower-case names; `signature-input` and `signature` come last.
 *   Content-Type, Upgrade and Sec-WebSocket-Key are covered but not returned, because the request already has them.
 * @throws RangeError on a value outside the contract, so that a verifier never reads a signed value differently.
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
  if (upgrade !== undefined && method !== 'GET') refuseValue('upgrade with a method other than GET');
}

function refuseValue(what: string): never {
  throw new RangeError(`${what} is outside the identity contract`);
}
