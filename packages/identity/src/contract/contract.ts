import * as grammar from './grammar.ts';
import type { ClientClaims, IdentityClaims, IdentityKind, UserClaims } from './identity.ts';
import { componentList } from './rfc9421.ts';

export const identityTag = 'countersign-v1';

/** The parts of a signed request that differ for every request. */
export type RequestToSign = Readonly<{
  method: string;
  /** The raw path as sent, without the query. */
  path: string;
  /** Empty, or `?` followed by the query. */
  query: string;
  requestId: string;
  /** The client's IP address. */
  ip?: string;
  /** Signed only together with `contentDigest` (digest mode). */
  contentType?: string | undefined;
  /** From {@link contentDigest}, in digest mode, for every method except GET and HEAD, even for an empty body. */
  contentDigest?: string | undefined;
  /** Only for users, OAuth clients and services. */
  txnToken?: string | undefined;
  /** The `Upgrade` and `Sec-WebSocket-Key` headers exactly as they are sent. */
  upgrade?: Readonly<{ protocol: string; key: string }> | undefined;
}>;

/** One header in the contract. The signer, the verifier, the strip rule and the documentation read this row. */
export type HeaderRule = Readonly<{
  name: string;
  /**
   * The rule for each kind of identity. `all-or-none` headers are either all present or all absent; with `x-client-id`
   * the rule of `client` applies instead. A kind without an entry never has the header.
   */
  present: Readonly<Partial<Record<IdentityKind, 'required' | 'optional' | 'all-or-none'>>>;
  /** Required with this header, refused without it. */
  onlyWith?: string;
  /** This header is checked and covered together with the named one. Without that one, it is unsigned and ignored. */
  coveredWith?: string;
  grammar: grammar.Grammar;
  /** Whether the signature covers the header if it is present. */
  covered: boolean;
  /** Whether the gateway drops it from a client's request, under any spelling, and from a service's response. */
  stripped: boolean;
  /** A prefix whose names are all reserved. Without a prefix, only the exact name is reserved. */
  prefix?: string;
  /** The value, if the token and the audience determine it. */
  fromToken?: (claims: IdentityClaims, audience: string) => string | undefined;
  /** The value, if the request determines it */
  fromRequest?: (request: RequestToSign) => string | undefined;
  /** A description for the documentation. */
  meaning: string;
}>;

const everyKind = (presence: 'required' | 'optional') =>
  ({ user: presence, client: presence, anonymous: presence, service: presence, gateway: presence }) as const;
const ofUser = { user: 'required', service: 'all-or-none' } as const;
const ofUserOrClient = { user: 'required', client: 'optional', service: 'all-or-none' } as const;
const userIn = (claims: IdentityClaims): UserClaims | undefined =>
  claims.kind === 'user' ? claims : claims.kind === 'service' ? claims.user : undefined;
const clientIn = (claims: IdentityClaims): ClientClaims | undefined =>
  claims.kind === 'client' ? claims : claims.kind === 'service' ? claims.client : undefined;
const principalIn = (claims: IdentityClaims) => userIn(claims) ?? clientIn(claims);

/** The contract: every header, in the order in which the signature covers them. To add a header, add a row. */
// biome-ignore format: one line a header
export const headerRules = [
  { name: 'x-request-id', present: everyKind('required'), grammar: grammar.uuidV7, covered: true, stripped: true, fromRequest: (request) => request.requestId, meaning: "the id that the gateway gave this request" },
  { name: 'x-identity', present: everyKind('required'), grammar: grammar.id, covered: true, stripped: true, prefix: 'x-identity', fromToken: (claims) => claims.kind, meaning: 'the kind of caller: `user`, `client`, `anonymous`, `service` or `gateway`' },
  { name: 'x-identity-audience', present: everyKind('required'), grammar: grammar.id, covered: true, stripped: true, prefix: 'x-identity', fromToken: (_facts, audience) => audience, meaning: "the receiving service's name in gateway.yaml" },
  { name: 'x-identity-context', present: everyKind('required'), grammar: grammar.contextText, covered: true, stripped: true, prefix: 'x-identity', meaning: 'additional data about the caller, possibly none' },
  { name: 'x-service-id', present: { service: 'required' }, grammar: grammar.id, covered: true, stripped: true, prefix: 'x-service', fromToken: (claims) => claims.kind === 'service' ? claims.serviceId : undefined, meaning: 'the calling service' },
  { name: 'x-client-id', present: { client: 'required', service: 'optional' }, grammar: grammar.id, covered: true, stripped: true, fromToken: (claims) => clientIn(claims)?.clientId, meaning: 'the OAuth client that calls for itself' },
  { name: 'x-user-id', present: ofUser, grammar: grammar.id, covered: true, stripped: true, prefix: 'x-user', fromToken: (claims) => userIn(claims)?.userId, meaning: 'the user' },
  { name: 'x-user-role', present: ofUserOrClient, grammar: grammar.role, covered: true, stripped: true, prefix: 'x-user', fromToken: (claims) => principalIn(claims)?.role, meaning: 'the role in the tenant' },
  { name: 'x-tenant-id', present: ofUserOrClient, grammar: grammar.id, covered: true, stripped: true, prefix: 'x-tenant', fromToken: (claims) => principalIn(claims)?.tenantId, meaning: 'the tenant' },
  { name: 'txn-token', present: { user: 'optional', client: 'optional', service: 'optional' }, grammar: grammar.threePartToken, covered: true, stripped: true, fromRequest: (request) => request.txnToken, meaning: 'opaque; the service sends it back on nested calls' },
  { name: 'content-type', present: everyKind('optional'), coveredWith: 'content-digest', grammar: grammar.printable, covered: true, stripped: false, fromRequest: (request) => request.contentType, meaning: 'the media type of the body' },
  { name: 'content-digest', present: everyKind('optional'), grammar: grammar.sha256Digest, covered: true, stripped: true, fromRequest: (request) => request.contentDigest, meaning: 'the hash of the body' },
  { name: 'upgrade', present: everyKind('optional'), grammar: grammar.protocolToken, covered: true, stripped: false, fromRequest: (request) => request.upgrade?.protocol, meaning: 'the protocol to switch to' },
  { name: 'sec-websocket-key', present: everyKind('optional'), onlyWith: 'upgrade', grammar: grammar.webSocketNonce, covered: true, stripped: false, fromRequest: (request) => request.upgrade?.key, meaning: 'the nonce of the WebSocket handshake' },
  { name: 'signature-input', present: everyKind('required'), grammar: grammar.signatureInput, covered: false, stripped: true, meaning: 'the signed components, their time and key' },
  { name: 'signature', present: everyKind('required'), grammar: grammar.signature, covered: false, stripped: true, meaning: 'the signature' },
] as const satisfies readonly HeaderRule[];

/** The rules for headers that a signature covers, and each header's bit in a {@link CoveredMask}. */
export const coveredRules: readonly HeaderRule[] = headerRules.filter((rule: HeaderRule) => rule.covered);

/** Which of {@link coveredRules} a request has, as bits. */
export type CoveredMask = number;

const derived = ['@method', '@path', '@query'];
const lists = new Map<CoveredMask, Readonly<{ names: readonly string[]; list: string }>>();

/**
 * Returns the only valid list of components for a request with these headers, in order. The verifier compares it with
 * the list in the signature; it never uses the received list.
 */
export function coveredComponents(mask: CoveredMask): Readonly<{ names: readonly string[]; list: string }> {
  let covered = lists.get(mask);
  if (covered === undefined) {
    const present = coveredRules.filter((_rule, index) => (mask & (1 << index)) !== 0);
    const names = [...derived, ...present.map(({ name }) => name)];
    covered = { names, list: componentList(names) };
    lists.set(mask, covered);
  }
  return covered;
}

/**
 * Whether a request of this kind, with these other headers, must have a header, may have it, must not have it, or has
 * it unsigned.
 *
 * @param has Whether another header is present.
 */
export function presenceOf(
  rule: HeaderRule,
  kind: IdentityKind,
  has: (name: string) => boolean,
): 'required' | 'optional' | 'forbidden' | 'ignored' {
  if (rule.coveredWith !== undefined && !has(rule.coveredWith)) return 'ignored';
  if (rule.onlyWith !== undefined) return has(rule.onlyWith) ? 'required' : 'forbidden';
  const presence = rule.present[kind] ?? 'forbidden';
  if (presence !== 'all-or-none') return presence;
  if (has('x-client-id')) return presenceOf(rule, 'client', has);
  return coveredRules.some((other) => other.present[kind] === 'all-or-none' && has(other.name))
    ? 'required'
    : 'optional';
}
