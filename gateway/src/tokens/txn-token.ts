import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { isUnixSeconds } from '@countersign/identity';
import { z } from 'zod';
import { toleranceMs } from '../config/config.ts';
import { id, name, role } from '../config/schema/values/scalars.ts';
import { AppError } from '../errors.ts';
import type { GatewayKey, GatewayKeySet } from '../keys/gateway-keys.ts';
import { requireSigningKey } from '../keys/signing-keys.ts';
import { parseCompactToken } from './compact-token.ts';
import { findIssuer } from './providers/find-issuer.ts';
import type { TokenStatus, TrustedIssuer } from './verified-token.ts';

/** A chain of calls that one user's request started. */
export type Transaction = Readonly<{
  /** The id of the user's request, the same along the whole chain. */
  id: string;
  /** 1 when the user called the service. Each further call between services adds one. */
  depth: number;
  userId: string;
  role: string;
  tenantId: string;
  /** The user's token, as needed to check expiry and revocation again. */
  token: TokenStatus;
}>;

/** A transaction read from a txn-token. `issuedAtSec` is when a gateway issued that token, in Unix seconds. */
export type PresentedTransaction = Transaction & Readonly<{ issuedAtSec: number }>;

/** Creates and reads txn-tokens. Services treat them as opaque. */
export type TxnTokens = Readonly<{
  /** @param service The service that receives the token. Only that service can present it. */
  mint(transaction: Transaction, service: string): string;
  /**
   * Does not check revocation. Call `assertStillValid` with the returned token.
   *
   * @param service The presenting service, proved by its signature.
   * @throws AppError `txn_token_invalid`, `txn_token_expired`, `txn_token_foreign`.
   */
  read(token: string, service: string): PresentedTransaction;
}>;

/** The longest chain of calls for one request. */
export const maxDepth = 4;

const lifetimeSec = 60;
const type = 'txntoken+jwt';
const audience = 'countersign-internal';
const algorithm = 'HS256';

const seconds = z.number().refine(isUnixSeconds);
const payloadShape = z.strictObject({
  aud: z.literal(audience),
  iat: seconds,
  exp: seconds,
  txn: z.uuid(),
  sub: id,
  tenant_id: id,
  role,
  sid: id.optional(),
  req_wl: name,
  depth: z.int().min(1).max(maxDepth),
  /** The user's token, as needed to check revocation. `sub` is the issuer's own, before any mapping. */
  token: z.strictObject({ iss: z.string(), sub: z.string().optional(), kid: z.string(), iat: seconds, exp: seconds }),
});
const headerShape = z.strictObject({ alg: z.literal(algorithm), typ: z.literal(type), kid: z.string() });

export type TxnTokenOptions = Readonly<{
  keys: Pick<GatewayKeySet, 'signingKey' | 'find'>;
  issuers: ReadonlyMap<string, TrustedIssuer>;
  nowMs(): number;
}>;

/**
 * Transaction tokens (draft-ietf-oauth-transaction-tokens) with a MAC. The MAC key is derived from the gateway's signing
 * key, which only replicas of the gateway share. docs/decisions/0003 explains why, and why jose is not used.
 */
export function createTxnTokens({ keys, issuers, nowMs }: TxnTokenOptions): TxnTokens {
  const nowSec = () => Math.floor(nowMs() / 1000);

  return {
    mint({ id: txn, depth, userId, role, tenantId, token }, service) {
      const { claims, kid } = token;
      const iat = nowSec();
      const key = requireSigningKey(keys, iat);
      const payload: z.input<typeof payloadShape> = {
        aud: audience,
        iat,
        // It must not outlive the user's token.
        exp: Math.min(iat + lifetimeSec, claims.expiresAtSec),
        txn,
        sub: userId,
        tenant_id: tenantId,
        role,
        ...(claims.sessionId !== undefined && { sid: claims.sessionId }),
        req_wl: service,
        depth,
        token: { iss: claims.issuer, sub: claims.subject, kid, iat: claims.issuedAtSec, exp: claims.expiresAtSec },
      };
      const header: z.input<typeof headerShape> = { alg: algorithm, typ: type, kid: key.keyid };
      const signed = `${encode(header)}.${encode(payload)}`;
      return `${signed}.${macOf(key, signed).toString('base64url')}`;
    },

    read(text, service) {
      const { header, payload } = parse(text);
      const key = keys.find(validate(headerShape, header).kid, nowSec());
      if (key === undefined) throw invalid('no key of this gateway');
      if (!hasValidMac(text, key)) throw invalid('the MAC is invalid');
      const claims = validate(payloadShape, payload);
      if (nowMs() >= claims.exp * 1000 + toleranceMs) throw new AppError('txn_token_expired');
      if (claims.iat * 1000 > nowMs() + toleranceMs) throw invalid('from the future');
      if (claims.req_wl !== service) {
        throw new AppError('txn_token_foreign', { detail: { handedTo: claims.req_wl, presentedBy: service } });
      }
      const issuer = findIssuer(issuers, claims.token.iss);
      if (issuer === undefined) throw invalid('its issuer is no longer trusted');
      return transactionOf(claims, issuer);
    },
  };
}

function transactionOf(claims: z.output<typeof payloadShape>, issuer: TrustedIssuer): PresentedTransaction {
  const { iat: issuedAtSec, txn, depth, sub: userId, role, tenant_id: tenantId, sid: sessionId, token } = claims;
  return {
    id: txn,
    issuedAtSec,
    depth,
    userId,
    role,
    tenantId,
    token: {
      claims: {
        issuer: token.iss,
        // A gateway of the previous version writes no `sub`.
        subject: token.sub ?? userId,
        userId,
        tenantId,
        sessionId,
        issuedAtSec: token.iat,
        expiresAtSec: token.exp,
      },
      kid: token.kid,
      issuer,
    },
  };
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** HS256 (RFC 7518 section 3.2). */
function macOf(key: GatewayKey, signed: string): Buffer {
  return createHmac('sha256', macKeyOf(key)).update(signed).digest();
}

function hasValidMac(token: string, key: GatewayKey): boolean {
  const end = token.lastIndexOf('.');
  const given = Buffer.from(token.slice(end + 1), 'base64url');
  const made = macOf(key, token.slice(0, end));
  return given.length === made.length && timingSafeEqual(given, made);
}

const macKeys = new WeakMap<GatewayKey, KeyObject>();

/** Derives the MAC key from the private key (RFC 5869). The label separates it from other derived keys. */
function macKeyOf(key: GatewayKey): KeyObject {
  let mac = macKeys.get(key);
  if (mac === undefined) {
    const { d = '' } = key.privateKey.export({ format: 'jwk' });
    const secret = hkdfSync('sha256', Buffer.from(d, 'base64url'), '', 'countersign txn-token v1', 32);
    mac = createSecretKey(Buffer.from(secret));
    macKeys.set(key, mac);
  }
  return mac;
}

function parse(text: string): ReturnType<typeof parseCompactToken> {
  try {
    return parseCompactToken(text);
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
