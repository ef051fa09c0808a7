import { createHash } from 'node:crypto';
import {
  type Delivery,
  type End,
  type EndOrigin,
  EventTokenError,
  isBearer,
  type ProvedDelivery,
  proveWebhook,
  readRevokeCall,
  readWebhook,
} from '@countersign/signals';
import { type Issuer, toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { LocalLimiter } from '../limits/limiter.ts';
import { endedTokens, tenantsOf } from './ended-tokens.ts';
import type { EventStream } from './event-stream.ts';

type Options = Readonly<{
  issuer: Readonly<{ config: Issuer; stream: EventStream }>;
  secrets: Readonly<{ webhook: readonly Uint8Array[]; revoke: readonly Uint8Array[] }>;
  nowMs(): number;
  limiter?: LocalLimiter;
}>;

/**
 * Receives what is authenticated by a secret of this issuer. Nothing in the body can name another issuer. Each source
 * may send 1,000 events a second, so that a flood of one does not delay the others.
 */
export function createDeliveries({
  issuer: { config, stream },
  secrets,
  nowMs,
  limiter = new LocalLimiter({ requests: 1_000, perSec: 1 }, 2),
}: Options) {
  const common = { issuer: config.issuer, tenants: tenantsOf(config), toleranceMs };

  /** @param read Verifies and reads the delivery. Throws EventTokenError. */
  async function receive(source: EndOrigin['source'], read: (take: () => void) => Pending) {
    try {
      const { ends, ignored, ...origin } = read(() => {
        // Not 429: some providers send again only after a 5xx.
        if (!limiter.take(source).allowed) throw new AppError('events_unavailable', { detail: { alarm: 'too_fast' } });
      });
      const own = ends.map((end) => endedTokens(end, config));
      const event = ends[0]?.event ?? '';
      const result =
        own.length === 0 ? 'ignored' : await stream.receive(own, { source, event, atMs: nowMs(), ...origin });
      stream.count(source, result);
      return { source, jti: origin.jti, result, ends: ends.map(({ kind }) => `${event}: ${kind}`), ignored } as const;
    } catch (error) {
      const isUnavailable = error instanceof AppError && error.code === 'events_unavailable';
      stream.count(source, isUnavailable ? 'unavailable' : 'refused');
      throw error;
    }
  }

  const { revoke, webhook } = config.events ?? {};
  return {
    /** Undefined without `webhook`. Rejects with EventTokenError, or with AppError. */
    receiveWebhook:
      webhook &&
      ((delivery: Delivery) =>
        receive('webhook', (take) => {
          const proved = proveWebhook(webhook.format.verify, delivery, secrets.webhook, nowMs());
          take();
          return readDelivered(config, delivery, proved, nowMs());
        })),
    /** The header of a challenge, and whether a request has the secret. Undefined if the provider sends none. */
    challenge: webhook?.format.challenge && {
      header: webhook.format.challenge,
      isAuthentic: (authorization: string | undefined) => isBearer(authorization, secrets.webhook),
    },
    /** Undefined without `revoke`. Rejects with EventTokenError, or with AppError. */
    receiveCall: revoke
      ? ({ header, body }: Delivery) =>
          receive('call', (take) => {
            if (!isBearer(header('authorization'), secrets.revoke))
              throw new EventTokenError('authentication_failed', 'another bearer');
            take();
            const { id, end, content } = readRevokeCall(body, { ...common, nowMs: nowMs() });
            return { jti: id, content, ends: [end], ignored: [] };
          })
      : undefined,
  };
}

/** Reads what an authenticated webhook ends. Throws EventTokenError. */
export function readDelivered(config: Issuer, { body }: Delivery, proved: ProvedDelivery, nowMs: number): Pending {
  const { webhook, sessions = true } = config.events ?? {};
  if (webhook === undefined) throw new Error(`${config.name} has no webhook`);
  const { issuer } = config;
  const options = { issuer, where: webhook.where, sessions, tenants: tenantsOf(config), nowMs, toleranceMs };
  const { id, ends, ignored } = readWebhook(body, webhook.format, proved, options);
  return { jti: id ?? createHash('sha256').update(body).digest('base64url'), ends, ignored };
}

type Pending = Readonly<Pick<EndOrigin, 'jti' | 'content'> & { ends: readonly End[]; ignored: readonly string[] }>;
