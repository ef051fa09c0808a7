import { createHash } from 'node:crypto';
import { type KeySet, KeySetUnavailable } from '@countersign/jwks';
import {
  type Delivery,
  type End,
  type EndOrigin,
  type EventToken,
  EventTokenError,
  isBearer,
  type NamedTenants,
  type ProvedDelivery,
  proveWebhook,
  readRevokeCall,
  readWebhook,
  verifyLogoutToken,
  verifySecurityEventToken,
} from '@countersign/signals';
import { type Issuer, toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { LocalLimiter } from '../limits/limiter.ts';
import type { EndedTokens, EventResult, EventStream } from './event-stream.ts';

export type EventIssuer = Readonly<{ config: Issuer; keys: KeySet; stream: EventStream }>;

type ReceiverOptions = Readonly<{
  /** The issuers of one entry: one, or one for each template value. */
  issuers: readonly EventIssuer[];
  /** The transmitter's keys. If undefined, the issuer's keys are used. */
  transmitterKeys: KeySet | undefined;
  secrets: Readonly<Record<'sharedSignals' | 'webhook' | 'revoke', readonly Uint8Array[]>>;
  nowMs(): number;
  /** How many webhooks, and how many calls, are stored a second, so that a flood of one does not delay the others. */
  limiter?: Pick<LocalLimiter, 'take'>;
}>;

/** What was received, for the request's log line. */
export type Received = Readonly<Record<string, unknown> & { result: EventResult }>;

/** What was authenticated, and what it ends. */
type Verified = Pick<EventToken, 'jti' | 'ends' | 'ignored'> &
  Partial<Pick<EventToken, 'isLate' | 'verification'>> &
  Pick<EndOrigin, 'content'>;

export type EventReceiver = Readonly<NonNullable<ReturnType<typeof createEventReceiver>>>;

/** @returns A function for each endpoint that the issuer has. Undefined without `events`. */
export function createEventReceiver({
  issuers,
  transmitterKeys,
  secrets,
  nowMs,
  limiter = new LocalLimiter({ requests: 1_000, perSec: 1 }, 2),
}: ReceiverOptions) {
  const [first] = issuers;
  const { events, algorithms } = first?.config ?? {};
  if (first === undefined || events === undefined || algorithms === undefined) return undefined;
  const byName = new Map(issuers.map((issuer) => [issuer.config.issuer, issuer]));
  const keysOf = new Map(issuers.map(({ config, keys }) => [config.issuer, keys]));
  const common = { audience: events.audience, algorithms, sessions: events.sessions, toleranceMs };
  const { sharedSignals, webhook, revoke } = events;

  async function receive(source: EndOrigin['source'], verify: () => Verified | Promise<Verified>): Promise<Received> {
    try {
      const { jti, content, ends, ignored, isLate = false, verification } = await verify();
      const origin = (event: string) => ({ source, event, jti, content, atMs: nowMs() });
      let result: EventResult = verification === undefined ? 'ignored' : 'verification';
      for (const [iss, own] of Map.groupBy(ends, ({ issuer }) => issuer)) {
        const { stream, config } = byName.get(iss) as EventIssuer;
        if (isLate) stream.late += 1;
        result = await stream.receive(
          own.map((end) => endedTokens(end, config)),
          origin(own[0]?.event ?? ''),
        );
      }
      const streams = new Set(ends.map(({ issuer }) => byName.get(issuer)?.stream ?? first?.stream));
      for (const stream of streams.size === 0 ? [first?.stream] : streams) stream?.count(source, result);
      return { source, jti, result, ends: ends.map(({ kind, event }) => `${event}: ${kind}`), ignored, late: isLate };
    } catch (error) {
      const isRefused = error instanceof EventTokenError || (error as AppError).code === 'event_id_reused';
      first?.stream.count(source, isRefused ? 'refused' : 'unavailable');
      if (error instanceof KeySetUnavailable) throw new AppError('events_unavailable', { cause: error });
      throw error;
    }
  }

  /** Counts an authentic delivery. Not 429 beyond the rate: some providers send again only after a 5xx. */
  function take(source: 'webhook' | 'call'): void {
    if (!limiter.take(source).allowed) throw new AppError('events_unavailable', { detail: { alarm: 'too_fast' } });
  }

  return {
    /** Undefined if the issuer sends no logout tokens. Rejects like `events`. */
    'backchannel-logout': events.backchannelLogout
      ? (token: string) =>
          receive('backchannel_logout', () =>
            verifyLogoutToken(token, { ...common, issuers: keysOf, types: events.logoutTypes, nowMs: nowMs() }),
          )
      : undefined,
    /** Undefined without `sharedSignals`. Rejects with EventTokenError, or with `events_unavailable`: send it again. */
    events:
      sharedSignals &&
      ((token: string) =>
        receive('shared_signals', () =>
          verifySecurityEventToken(token, {
            ...common,
            ...sharedSignals,
            keys: transmitterKeys ?? first.keys,
            issuers: new Map([[events.subjectIssuer, first.config.issuer]]),
            tenants: tenantsOf(first.config),
            nowMs: nowMs(),
          }),
        )),
    /** Whether a request has the secret of the transmitter, or of the webhook. */
    isAuthentic: (authorization: string | undefined, of: 'sharedSignals' | 'webhook') =>
      isBearer(authorization, secrets[of]),
    /** The header of a challenge. Undefined if the provider sends none. */
    challenge: webhook?.format.challenge,
    /** Undefined without `webhook`. Rejects like `events`. */
    webhook:
      webhook &&
      ((delivery: Delivery) =>
        receive('webhook', () => {
          const proved = proveWebhook(webhook.format.verify, delivery, secrets.webhook, nowMs());
          take('webhook');
          return readDelivered(first.config, delivery, proved, nowMs());
        })),
    /** Undefined without `revoke`. Rejects like `events`, or with `event_id_reused`. */
    revoke: revoke
      ? ({ header, body }: Delivery) =>
          receive('call', () => {
            if (!isBearer(header('authorization'), secrets.revoke))
              throw new EventTokenError('authentication_failed', 'another bearer');
            take('call');
            const { id, end, content } = readRevokeCall(body, { ...bodyOptions(first.config), nowMs: nowMs() });
            return { jti: id, content, ends: [end], ignored: [] };
          })
      : undefined,
  };
}

/** Reads what an authenticated webhook ends. Nothing in the body can name another issuer. Throws EventTokenError. */
export function readDelivered(config: Issuer, { body }: Delivery, proved: ProvedDelivery, nowMs: number): Verified {
  const { webhook, sessions = true } = config.events ?? {};
  if (webhook === undefined) throw new Error(`${config.name} has no webhook`);
  const options = { ...bodyOptions(config), where: webhook.where, sessions, nowMs };
  const { id, ends, ignored } = readWebhook(body, webhook.format, proved, options);
  return { jti: id ?? createHash('sha256').update(body).digest('base64url'), ends, ignored };
}

const bodyOptions = (config: Issuer) => ({ issuer: config.issuer, tenants: tenantsOf(config), toleranceMs });

/** Returns the tenants that an event can name. Tokens and events must use the same tenant ids. */
function tenantsOf({ claims, tenants, tenantPrefix, template }: Issuer): NamedTenants {
  if (claims.tenantId.kind !== 'claim' || template?.value !== undefined) return 'none';
  if (tenants === undefined) return 'any';
  const own = [...tenants].filter((tenant) => tenant.startsWith(tenantPrefix));
  return new Set(own.map((tenant) => tenant.slice(tenantPrefix.length)));
}

/** Returns the ended subject, as our tokens name it. */
export function endedTokens(end: End, { subjectEncoding, userPrefix, tenantPrefix }: Issuer): EndedTokens {
  const userOf = (id: string) =>
    userPrefix + (subjectEncoding === 'base64url' ? Buffer.from(id).toString('base64url') : id);
  const { kind, notBeforeMs } = end;
  const tenantId = 'tenantId' in end && end.tenantId !== undefined ? tenantPrefix + end.tenantId : undefined;
  const own = 'sessionId' in end ? end.sessionId : 'userId' in end ? userOf(end.userId) : undefined;
  return { kind, tenantId, notBeforeMs, name: [tenantId, own].filter((id) => id !== undefined).join(' ') };
}
