import { generateKeyPairSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { newRequestId } from '@countersign/identity';
import { staticKeySet } from '@countersign/jwks';
import type { GatewayConfig, Issuer } from '../config/config.ts';
import { BodyMemory, HeldBody } from '../limits/body-memory.ts';
import { type Arrival, type Caller, Exchange, type RawRequest } from '../pipeline/exchange.ts';
import { RequestRecord } from '../pipeline/request-record.ts';
import type { PolicyCaller, PolicyPrincipal } from '../routing/policy.ts';
import type { Claims } from '../tokens/claims.ts';
import type { TrustedIssuer, VerifiedToken } from '../tokens/verified-tokens.ts';
import type { AcceptedToken } from './callers.ts';

export type Header = [name: string, value: string];

// An address for documentation (RFC 5737).
const exampleAddress = '192.0.2.1';
// The example of RFC 7638.
const exampleThumbprint = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

/** A request as a listener would deliver it, without a connection. */
export function exampleArrival(
  { method, target, headers }: Readonly<{ method: string; target: string; headers: readonly Header[] }>,
  { publicOrigins }: GatewayConfig,
): Arrival {
  const hasHost = headers.some(([name]) => name.toLowerCase() === 'host');
  const host: readonly Header[] = hasHost ? [] : [['Host', new URL(publicOrigins[0] ?? 'http://gateway').host]];
  const record = new RequestRecord(newRequestId(), method, target, 0);
  const request: RawRequest = {
    kind: isUpgrade(method, headers) ? 'upgrade' : 'http',
    method,
    rawTarget: target,
    httpVersion: '1.1',
    rawHeaders: [...host, ...headers].flat(),
    peer: { remoteAddress: exampleAddress },
    // The body is known from its headers only, so no stage waits for its bytes.
    stream: Object.assign(Readable.from([]), { complete: true }),
    interim: undefined,
  };
  const held = new HeldBody(new BodyMemory(), { bytes: 0, bytesPerAddress: 0 }, exampleAddress);
  return new Exchange(
    request,
    record,
    () => {},
    () => held,
  );
}

/** The same rule as Node's parser and the listener. */
function isUpgrade(method: string, headers: readonly Header[]): boolean {
  const joined = (name: string) =>
    headers.flatMap(([given, value]) => (given.toLowerCase() === name ? [value.toLowerCase()] : [])).join(', ');
  return (
    method === 'GET' && joined('upgrade') === 'websocket' && /(?:^|,)\s*upgrade\s*(?:,|$)/.test(joined('connection'))
  );
}

/**
 * The caller with the claims that a valid token or service signature would give.
 *
 * @param accepted The caller's token, if there is one. Its claims are shown as they are. Default: invented claims.
 */
export function exampleCaller(
  caller: PolicyCaller,
  { issuers }: GatewayConfig,
  nowMs: number,
  accepted?: AcceptedToken,
): Caller {
  if (caller.kind === 'anonymous') return { kind: 'anonymous', jkt: undefined };
  const principal = caller.kind === 'service' ? caller.principal : caller;
  const issuer = accepted?.issuer ?? issuers.find((one) => one.issuer === principal?.token.claims.issuer);
  if (principal === undefined || issuer === undefined)
    return caller.kind === 'service'
      ? { kind: 'service', serviceId: caller.serviceId }
      : { kind: 'anonymous', jkt: undefined };
  const trusted: TrustedIssuer = { config: issuer, keys: noKeys, revocations: undefined };
  const bound = caller.kind !== 'service' && caller.bound;
  const claims = accepted?.claims ?? exampleClaims(principal, bound, issuer, Math.floor(nowMs / 1000));
  const token: VerifiedToken = { claims, kid: 'KID', issuer: trusted, generation: 0, prepared: new Map() };
  if (caller.kind !== 'service') return { ...principal, token, bound, jkt: claims.jkt };
  return {
    kind: 'service',
    serviceId: caller.serviceId,
    principal: { ...principal, id: newRequestId(), depth: 1, token },
  };
}

function exampleClaims(principal: PolicyPrincipal, bound: boolean, issuer: Issuer, nowSec: number): Claims {
  const { clientId, scope, act, kept } = principal.token.claims;
  const common = {
    issuer: issuer.issuer,
    tokenId: 'JTI',
    issuedAtSec: nowSec,
    expiresAtSec: nowSec + 900,
    authTimeSec: undefined,
    authMethods: undefined,
    jkt: bound ? exampleThumbprint : undefined,
    certificate: undefined,
    scope,
    roles: [],
    act,
    kept,
  };
  if (principal.kind === 'client') {
    const { kind, clientId: subject, role, tenantId } = principal;
    return { ...common, kind, subject, userId: undefined, role, tenantId, clientId: subject, sessionId: undefined };
  }
  const { kind, userId, role, tenantId } = principal;
  const sessionId = issuer.revocations && 'SESSION';
  return { ...common, kind, subject: userId, userId, role, tenantId, clientId, sessionId };
}

/** A trusted issuer has keys. Nothing asks for these. */
const noKeys = staticKeySet(
  { keys: [{ ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid: 'KID' }] },
  { algorithms: ['EdDSA'] },
);
