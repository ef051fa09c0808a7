import { serializeContext } from '../contract/context.ts';
import {
  type CoveredMask,
  coveredComponents,
  coveredRules,
  type HeaderRule,
  identityTag,
  type RequestToSign,
} from '../contract/contract.ts';
import { isAddress, isMethod, isPath, isQuery, uuidV7 } from '../contract/grammar.ts';
import type { IdentityClaims } from '../contract/identity.ts';
import {
  componentLine,
  type SigningKey,
  serializeParams,
  signatureBase,
  signatureHeaders,
  signBaseAsBase64,
} from '../contract/rfc9421.ts';

/** The part of a signed request that depends only on the token and the audience, already serialized. */
export type PreparedIdentity = Readonly<{
  kind: IdentityClaims['kind'];
  /** The headers of this type and `x-request-id`, as bits, and the components of a request without other headers. */
  covered: CoveredMask;
  components: string;
  /** The signature base before the context with the client's address. */
  linesBeforeContext: string;
  /** `x-identity-context` without `ip`. */
  context: string;
  /** The part of the signature base after the context. Each line ends with a line feed. */
  linesAfterContext: string;
  /** Alternating names and values. */
  headersBeforeContext: readonly string[];
  headersAfterContext: readonly string[];
}>;

const contextIndex = coveredRules.findIndex(({ name }) => name === 'x-identity-context');
const requestIdBit = 1 << coveredRules.findIndex(({ name }) => name === 'x-request-id');

/**
 * Validates an identity and serializes its fixed parts, once per token and audience.
 *
 * @throws RangeError on a value outside the contract; ContextTooLong. The gateway refuses such a token and never
 *   repairs it.
 */
export function prepareIdentity(claims: IdentityClaims, audience: string): PreparedIdentity {
  if (claims.kind === 'service' && claims.user !== undefined && claims.client !== undefined) {
    refuseValue('a service that acts for a user and a client');
  }
  const before: string[] = [];
  const after: string[] = [];
  let covered = requestIdBit | (1 << contextIndex);
  coveredRules.forEach((rule, index) => {
    const value = rule.fromToken?.(claims, audience);
    if (rule.fromToken === undefined || (value === undefined && !isRequired(rule, claims))) return;
    (index < contextIndex ? before : after).push(rule.name, requireValid(rule, value));
    covered |= 1 << index;
  });
  return {
    kind: claims.kind,
    covered,
    components: coveredComponents(covered).list,
    linesBeforeContext: `${serializeLines(before)}"x-identity-context": `,
    context: serializeContext(claims.context ?? {}),
    linesAfterContext: serializeLines(after),
    headersBeforeContext: before,
    headersAfterContext: after,
  };
}

/** A service that acts for a user needs all of the user's headers. One that acts for a client needs the client's id. */
function isRequired({ name, present }: HeaderRule, claims: IdentityClaims): boolean {
  const presence = present[claims.kind];
  if (presence === 'required' || claims.kind !== 'service') return presence === 'required';
  return name === 'x-client-id' ? claims.client !== undefined : presence === 'all-or-none' && claims.user !== undefined;
}

function serializeLines(headers: readonly string[]): string {
  return pairsOf(headers)
    .map(([name, value]) => `${componentLine(name, value)}\n`)
    .join('');
}

function requireValid({ name, grammar }: HeaderRule, value: string | undefined): string {
  if (typeof value !== 'string' || !grammar.matches(value)) refuseValue(name);
  return value;
}

export type SignOptions = Readonly<{ createdSec: number; lifetimeSec: number; nonce: string }>;

const requestRules = coveredRules
  .map((rule, index) => ({ ...rule, bit: 1 << index, line: `"${rule.name}": ` }))
  .filter(({ name, fromRequest }) => fromRequest !== undefined && name !== 'x-request-id');

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
  assertInContract(prepared, request);
  const headers: string[] = [];
  appendSignedHeaders(headers, key, prepared, request, options);
  return pairsOf(headers);
}

/**
 * Like {@link signRequest}, for a caller that has checked the request against the contract already, as the gateway
 * does when it reads it.
 *
 * @param headers Alternating names and values. The headers are appended here.
 */
export function appendSignedHeaders(
  headers: string[],
  key: SigningKey,
  prepared: PreparedIdentity,
  request: RequestToSign,
  options: SignOptions,
): void {
  const { method, path, query, requestId, ip } = request;
  const { linesBeforeContext, linesAfterContext, headersBeforeContext, headersAfterContext } = prepared;
  const context = ip === undefined ? prepared.context : `ip="${ip}"${prepared.context && `, ${prepared.context}`}`;
  headers.push('x-request-id', requestId);
  for (let at = 0; at < headersBeforeContext.length; at += 1) headers.push(headersBeforeContext[at] as string);
  headers.push('x-identity-context', context);
  for (let at = 0; at < headersAfterContext.length; at += 1) headers.push(headersAfterContext[at] as string);
  let { covered, components } = prepared;
  let lines =
    `"@method": ${method}\n"@path": ${path}\n"@query": ${query || '?'}\n` +
    `"x-request-id": ${requestId}\n${linesBeforeContext}${context}\n${linesAfterContext}`;
  const more = fromRequest(request);
  for (const { rule, value } of more) {
    covered |= rule.bit;
    lines += `${rule.line}${value}\n`;
    if (rule.stripped) headers.push(rule.name, value);
  }
  if (more.length > 0) components = coveredComponents(covered).list;
  const rawParams = serializeParams(components, {
    createdSec: options.createdSec,
    expiresSec: options.createdSec + options.lifetimeSec,
    nonce: options.nonce,
    keyid: key.keyid,
    algorithm: key.algorithm,
    tag: identityTag,
  });
  headers.push(...signatureHeaders(rawParams, signBaseAsBase64(key, signatureBase(lines, rawParams))));
}

type CoveredValue = Readonly<{ rule: (typeof requestRules)[number]; value: string }>;
const nothing: readonly CoveredValue[] = [];

/** The covered headers that depend on the request, apart from its id. A plain GET has none. */
function fromRequest(request: RequestToSign): readonly CoveredValue[] {
  if (request.contentDigest === undefined && request.txnToken === undefined && request.upgrade === undefined)
    return nothing;
  return requestRules.flatMap((rule) => {
    const value = rule.fromRequest?.(request);
    const isCovered = rule.coveredWith !== 'content-digest' || request.contentDigest !== undefined;
    return value !== undefined && isCovered ? [{ rule, value }] : [];
  });
}

function assertInContract({ kind }: PreparedIdentity, request: RequestToSign): void {
  const { method, path, query, requestId, ip, upgrade } = request;
  if (!isMethod(method)) refuseValue('method');
  if (!isPath(path) || !isQuery(query)) refuseValue('target');
  if (!uuidV7.matches(requestId)) refuseValue('request id');
  if (ip !== undefined && !isAddress(ip)) refuseValue('ip');
  if (upgrade !== undefined && method !== 'GET') refuseValue('upgrade with a method other than GET');
  for (const { rule, value } of fromRequest(request)) {
    if (rule.present[kind] === undefined || !rule.grammar.matches(value)) refuseValue(rule.name);
  }
}

function refuseValue(what: string): never {
  throw new RangeError(`${what} is outside the identity contract`);
}

/** @param flat Alternating names and values. */
export function pairsOf(flat: readonly string[]): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at] ?? '', flat[at + 1] ?? '']);
  return pairs;
}
