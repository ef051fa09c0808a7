import { type KeySet, KeySetUnavailable } from '@countersign/jwks';
import {
  type EndOrigin,
  type EventToken,
  EventTokenError,
  isBearer,
  verifyLogoutToken,
  verifySecurityEventToken,
} from '@countersign/signals';
import { type Issuer, toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { createDeliveries } from './deliveries.ts';
import { endedTokens, tenantsOf } from './ended-tokens.ts';
import type { EventResult, EventStream } from './event-stream.ts';

export type EventIssuer = Readonly<{ config: Issuer; keys: KeySet; stream: EventStream }>;

type ReceiverOptions = Readonly<{
  /** The issuers of one entry: one, or one for each template value. */
  issuers: readonly EventIssuer[];
  /** The transmitter's keys. If undefined, the issuer's keys are used. */
  transmitterKeys: KeySet | undefined;
  secrets: Readonly<Record<'sharedSignals' | 'webhook' | 'revoke', readonly Uint8Array[]>>;
  nowMs(): number;
}>;

/** What was received, for the request's log line. */
export type Received = Readonly<Record<string, unknown> & { result: EventResult }>;

export type EventReceiver = Readonly<NonNullable<ReturnType<typeof createEventReceiver>>>;

export function createEventReceiver({ issuers, transmitterKeys, secrets, nowMs }: ReceiverOptions) {
  const [first] = issuers;
  const { events, algorithms } = first?.config ?? {};
  if (first === undefined || events === undefined || algorithms === undefined) return undefined;
  const byName = new Map(issuers.map((issuer) => [issuer.config.issuer, issuer]));
  const keysOf = new Map(issuers.map(({ config, keys }) => [config.issuer, keys]));
  const common = { audience: events.audience, algorithms, sessions: events.sessions, toleranceMs };
  const { sharedSignals } = events;

  async function receive(source: EndOrigin['source'], verify: () => Promise<EventToken>): Promise<Received> {
    try {
      const eventToken = await verify();
      const { jti, ends, ignored, isLate, verification } = eventToken;
      const origin = (event: string) => ({ source, event, jti, atMs: nowMs() });
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
      first?.stream.count(source, error instanceof EventTokenError ? 'refused' : 'unavailable');
      if (error instanceof KeySetUnavailable) throw new AppError('events_unavailable', { cause: error });
      throw error;
    }
  }

  return {
    /** Undefined if the issuer sends no logout tokens. Throws like `receiveSecurityEventToken`. */
    receiveLogoutToken: events.backchannelLogout
      ? (token: string) =>
          receive('backchannel_logout', () =>
            verifyLogoutToken(token, { ...common, issuers: keysOf, types: events.logoutTypes, nowMs: nowMs() }),
          )
      : undefined,
    /** Undefined without `sharedSignals`. Rejects with EventTokenError, or with `events_unavailable`: send it again. */
    receiveSecurityEventToken:
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
    /** Whether a request has the transmitter's secret. */
    isAuthentic: (authorization: string | undefined) => isBearer(authorization, secrets.sharedSignals),
    ...createDeliveries({ issuer: first, secrets, nowMs }),
  };
}
