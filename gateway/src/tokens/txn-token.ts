import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIssuer, isUnixSeconds } from '@countersign/identity';
import { z } from 'zod';
import { toleranceMs } from '../config/config.ts';
import { id, name, partyName, role, scopeName } from '../config/schema/values/scalars.ts';
import { AppError } from '../errors.ts';
import type { GatewayKeySet } from '../keys/key-directory.ts';
import type { GatewayKey } from '../keys/key-files.ts';
import { macKeysFor, requireSigningKey } from '../keys/signing-keys.ts';
import { findIssuer } from './claim-mapping/find-issuer.ts';
import type { StatusClaims } from './claims.ts';
import { parseJwt, type UnverifiedJwt } from './parse-jwt.ts';
import type { TokenStatus, TrustedIssuer } from './verified-tokens.ts';

/** A chain of calls that one user's or OAuth client's request started. */
export type Transaction = Readonly<{
  id: string;
  /** 1 if the user or OAuth client called the service. Each further call between services adds 1. */
  depth: number;
  /** What is needed from the user's or OAuth client's token to check expiry, revocation and route rules again. */
  token: TokenStatus;
}>;

/** A transaction read from a txn-token. `issuedAtSec` is when a gateway issued the token, in Unix seconds. */
export type PresentedTransaction = Transaction & Readonly<{ issuedAtSec: number }>;

/** Creates and reads txn-tokens. Services treat them as opaque. */
export type TxnTokens = ReturnType<typeof createTxnTokens>;

/** The longest chain of calls for one request. */
export const maxDepth = 4;

const lifetimeSec = 60;
/** The longest token that the identity contract allows. */
const maxLength = 4096;
const type = 'txntoken+jwt';
const audience = 'countersign-internal';
const algorithm = 'HS256';

const seconds = z.number().refine(isUnixSeconds);
const commonShape = {
  aud: z.literal(audience),
  iat: seconds,
  exp: seconds,
  txn: z.uuid(),
  sub: id,
  sid: id.optional(),
  scope: z.array(scopeName).min(1).max(64).optional(),
  act: z.strictObject({ sub: partyName, iss: z.string().refine(isIssuer) }).optional(),
  req_wl: name,
  depth: z.int().min(1).max(maxDepth),
  /** What the revocation check needs from the token. `sub` is the issuer's, before any mapping. */
  token: z.strictObject({ iss: z.string(), sub: z.string().optional(), kid: z.string(), iat: seconds, exp: seconds }),
};
// A gateway of the previous version writes no `kind`, and refuses a token with a `kind`.
const userShape = z.strictObject({
  ...commonShape,
  tenant_id: id,
  role: role,
  client: z.string().min(1).optional(),
});
const machineShape = z.strictObject({
  ...commonShape,
  kind: z.literal('client'),
  tenant_id: id.optional(),
  role: role.optional(),
});
const payloadShape = z.union([userShape, machineShape]);
type Payload = z.output<typeof payloadShape>;
const headerShape = z.strictObject({ alg: z.literal(algorithm), typ: z.literal(type), kid: z.string() });

type TxnTokenOptions = Readonly<{
  keys: Pick<GatewayKeySet, 'signingKey' | 'find'>;
  issuers: ReadonlyMap<string, TrustedIssuer>;
  nowMs(): number;
}>;

/**
 * Creates and reads transaction tokens (draft-ietf-oauth-transaction-tokens) with a MAC. The MAC key is derived from
 * the gateway's signing key, which only gateway replicas share. docs/decisions/0003 explains why, and why jose is not
 * used.
 */
export function createTxnTokens({ keys, issuers, nowMs }: TxnTokenOptions) {
  const nowSec = () => Math.floor(nowMs() / 1000);

  return {
    /**
     * @param service The service that receives the token. Only that service can present it.
     * @throws AppError `token_context_too_long`.
     */
    mint(transaction: Transaction, service: string): string {
      const { id: txn, depth, token } = transaction;
      const { claims, kid } = token;
      const iat = nowSec();
      const key = requireSigningKey(keys, iat);
      // JSON omits undefined values.
      const payload: z.input<typeof payloadShape> = {
        aud: audience,
        iat,
        // The txn-token must not outlive the user's token.
        exp: Math.min(iat + lifetimeSec, claims.expiresAtSec),
        txn,
        ...principalOf(claims),
        sid: claims.sessionId,
        scope: claims.scope.length > 0 ? [...claims.scope] : undefined,
        act: claims.act,
        req_wl: service,
        depth,
        token: { iss: claims.issuer, sub: claims.subject, kid, iat: claims.issuedAtSec, exp: claims.expiresAtSec },
      };
      const header: z.input<typeof headerShape> = { alg: algorithm, typ: type, kid: key.kid };
      const signed = `${encode(header)}.${encode(payload)}`;
      const text = `${signed}.${macOf(key, signed).toString('base64url')}`;
      if (text.length > maxLength) throw new AppError('token_context_too_long', { detail: { reason: 'txn-token' } });
      return text;
    },

    /**
     * Reads a txn-token. Does not check revocation, so call `assertStillValid` with the returned token.
     *
     * @param service The calling service, which has proven itself by its signature.
     * @throws AppError `txn_token_invalid`, `txn_token_expired`, `txn_token_foreign`.
     */
    read(text: string, service: string): PresentedTransaction {
      const { header, payload } = parse(text);
      const key = keys.find(validate(headerShape, header).kid, nowSec());
      if (key === undefined) throw invalid('the key is not from this gateway');
      if (!hasValidMac(text, key)) throw invalid('the MAC is invalid');
      const claims = validate(payloadShape, payload);
      if (nowMs() >= claims.exp * 1000 + toleranceMs) throw new AppError('txn_token_expired');
      if (claims.iat * 1000 > nowMs() + toleranceMs) throw invalid('the token comes from the future');
      if (claims.req_wl !== service) {
        throw new AppError('txn_token_foreign', { detail: { handedTo: claims.req_wl, presentedBy: service } });
      }
      const issuer = findIssuer(issuers, claims.token.iss);
      if (issuer === undefined) throw invalid('its issuer is no longer trusted');
      return transactionOf(claims, issuer);
    },
  };
}

function principalOf({ kind, userId, clientId, role, tenantId: tenant_id }: StatusClaims) {
  return kind === 'user'
    ? { sub: userId, tenant_id, role, client: clientId }
    : { kind, sub: clientId, tenant_id, role };
}

/** Reverses {@link principalOf}. */
function readPrincipal(payload: Payload) {
  const { sub } = payload;
  if ('kind' in payload) {
    const { kind, role, tenant_id: tenantId } = payload;
    return { kind, userId: undefined, clientId: sub, role, tenantId } as const;
  }
  const { role, tenant_id: tenantId, client: clientId } = payload;
  return { kind: 'user', userId: sub, clientId, role, tenantId } as const;
}

const noClaims: TokenStatus['claims']['kept'] = new Map();

function transactionOf(payload: Payload, issuer: TrustedIssuer): PresentedTransaction {
  const { iat: issuedAtSec, txn: id, depth, sub, sid: sessionId, token, scope = [], act } = payload;
  const claims = {
    ...readPrincipal(payload),
    issuer: token.iss,
    // A gateway of the previous version writes no `sub`.
    subject: token.sub ?? sub,
    sessionId,
    issuedAtSec: token.iat,
    expiresAtSec: token.exp,
    scope,
    act,
    kept: noClaims,
  };
  return { id, issuedAtSec, depth, token: { claims, kid: token.kid, issuer } };
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function macOf(key: GatewayKey, signed: string): Buffer {
  return createHmac('sha256', macKeyOf(key)).update(signed).digest();
}

function hasValidMac(token: string, key: GatewayKey): boolean {
  const end = token.lastIndexOf('.');
  const given = Buffer.from(token.slice(end + 1), 'base64url');
  const made = macOf(key, token.slice(0, end));
  return given.length === made.length && timingSafeEqual(given, made);
}

const macKeyOf = macKeysFor('countersign txn-token v1');

function parse(text: string): UnverifiedJwt {
  try {
    return parseJwt(text);
  } catch (cause) {
    throw invalid('not a JWT', cause);
  }
}

function validate<Shape extends z.ZodType>(shape: Shape, value: unknown): z.output<Shape> {
  const parsed = shape.safeParse(value);
  if (!parsed.success) throw invalid(`${parsed.error.issues[0]?.path.join('.') || 'a member'} is invalid`);
  return parsed.data;
}

const invalid = (reason: string, cause?: unknown): AppError =>
  new AppError('txn_token_invalid', { cause, detail: { reason } });
