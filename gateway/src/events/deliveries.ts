import {
  type Delivery,
  type End,
  type EndOrigin,
  EventTokenError,
  isBearer,
  readRevokeCall,
} from '@countersign/signals';
import { type Issuer, toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { LocalLimiter } from '../limits/limiter.ts';
import { endedTokens, tenantsOf } from './ended-tokens.ts';
import type { EventStream } from './event-stream.ts';

type Options = Readonly<{
  issuer: Readonly<{ config: Issuer; stream: EventStream }>;
  secrets: Readonly<{ revoke: readonly Uint8Array[] }>;
  nowMs(): number;
}>;

/** Each source of an issuer gets so many a second, so that a flood of one never delays the others. */
const rate = { requests: 1_000, perSec: 1 };

/** Receives what is authenticated by a secret of this issuer. Nothing in the body can name another issuer. */
export function createDeliveries({ issuer: { config, stream }, secrets, nowMs }: Options) {
  const common = { issuer: config.issuer, tenants: tenantsOf(config), toleranceMs };
  const limiter = new LocalLimiter(rate, 2);

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

  const { revoke } = config.events ?? {};
  return {
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

type Pending = Readonly<Pick<EndOrigin, 'jti' | 'content'> & { ends: readonly End[]; ignored: readonly string[] }>;
