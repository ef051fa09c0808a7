import { setTimeout as delay } from 'node:timers/promises';
import { get, headerOf } from '@countersign/http1-client';
import { newNonce, newRequestId, type PreparedIdentity, prepareIdentity, signRequest } from '@countersign/identity';
import type { Logger } from '@countersign/process-kit';
import {
  type FeedRequest,
  followRevocations,
  type RevocationBatch,
  type RevocationFeed,
  Revocations,
  readRevocationBatch,
} from '@countersign/revocations';
import { type Issuer, toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { createSigningKeys, type KeyFor } from '../keys/signing-keys.ts';
import type { OpenUpstream } from './pool/open-upstream.ts';
import type { Target } from './pool/target.ts';

export type FollowedRevocations = RevocationFeed & Readonly<{ revocations: Revocations }>;

type RevocationsDeps = Readonly<{
  opened: OpenUpstream;
  keys: Parameters<typeof createSigningKeys>[0];
  nowMs(): number;
  logger: Logger;
  onChange(): void;
  onLag(issuer: string, lagMs: number): void;
}>;

/** @param config The feed is at one of the opened upstream's targets. */
export function openRevocations(
  {
    issuer,
    feed,
    lifetimeSec,
  }: Readonly<{ issuer: string; feed: NonNullable<Issuer['revocations']>; lifetimeSec: number }>,
  deps: RevocationsDeps,
): FollowedRevocations {
  const { opened, keys, nowMs, logger, onChange, onLag } = deps;
  const revocations = new Revocations({ ...feed, toleranceMs });
  revocations.onChange(onChange);
  const keyFor = createSigningKeys(keys, () => opened);
  const follower = followRevocations({
    issuer,
    revocations,
    fetchBatch: createRevocationSource({ url: feed.url, opened, keyFor, lifetimeSec, nowMs }),
    maxStalenessMs: feed.maxStalenessMs,
    logger,
    onLag: (lagMs) => onLag(issuer, lagMs),
    nowMs,
    random: Math.random,
    async pause(ms, signal) {
      // Rejects on abort, which the feed detects itself.
      await delay(ms, undefined, { signal, ref: false }).catch(() => {});
    },
  });
  return { ...follower, revocations };
}

type RevocationSourceOptions = Readonly<{
  /** The feed's URL, at one of the upstream's targets. */
  url: string;
  opened: OpenUpstream;
  keyFor: KeyFor;
  lifetimeSec: number;
  nowMs(): number;
  /** How long a response may take beyond the requested wait, in milliseconds. Default: 5 s. */
  graceMs?: number;
}>;

// A service that does not support groups, such as an older version, responds with items.
const accept = 'application/vnd.countersign.revocation-groups+json, application/json';
// Enough for 5,000 entries with the longest ids.
const maxBytes = 8 * 1024 * 1024;
// How long to wait for the second response after the first.
const lateMs = 1_000;

/**
 * Asks the auth-service for revocations in the gateway's own name (`x-identity: gateway`). Does not follow redirects.
 *
 * If there are two targets, each request goes to both, and the first valid batch counts. Otherwise an instance that
 * hangs, or that lost its database, would delay revocations until the wait ends.
 *
 * @returns A function that throws for a status other than 200, a timeout, an oversized body or an invalid batch.
 */
export function createRevocationSource(
  options: RevocationSourceOptions,
): (question: FeedRequest, signal: AbortSignal) => Promise<RevocationBatch> {
  const { opened, keyFor, lifetimeSec, nowMs, graceMs = 5_000 } = options;
  const { upstream } = opened;
  const { pathname } = new URL(options.url);
  const gateway: PreparedIdentity = prepareIdentity({ kind: 'gateway' }, upstream.name);

  async function ask(target: Target, question: FeedRequest, signal: AbortSignal): Promise<RevocationBatch> {
    const query = queryOf(question);
    const nowSec = Math.floor(nowMs() / 1000);
    const signed = signRequest(
      keyFor(upstream, nowSec, 'repeatable'),
      gateway,
      { method: 'GET', path: pathname, query, requestId: newRequestId() },
      { createdSec: nowSec, lifetimeSec, nonce: newNonce() },
    );
    const timeoutMs = question.waitSec * 1000 + graceMs;
    const { status, headers, body } = await get(target.pool, pathname + query, {
      headers: [...signed.flat(), 'accept', accept],
      maxBodyBytes: maxBytes,
      timeoutMs: timeoutMs + graceMs,
      signal,
    });
    if (status !== 200) {
      const reason = headerOf({ headers }, 'x-identity-refused');
      const refusal = new AppError('identity_refused', { detail: { reason } });
      // The next request is signed with ed25519.
      if (status === 401 && opened.agreement?.shouldRepeat(refusal, signed.flat()))
        return ask(target, question, signal);
      throw new Error(`the revocation feed responded with ${status}`);
    }
    return readRevocationBatch(JSON.parse(body.toString('utf8')));
  }

  return async (question, signal) => {
    const first = opened.choose();
    const second = opened.choose(first);
    if (second === first) return ask(first, question, signal);
    const late = new AbortController();
    const either = AbortSignal.any([signal, late.signal]);
    try {
      return await Promise.any([first, second].map((target) => ask(target, question, either)));
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    } finally {
      // The second response has the same entries. Letting it finish keeps its connection reusable.
      setTimeout(() => late.abort(), lateMs).unref();
    }
  };
}

function queryOf({ position, waitSec }: FeedRequest): string {
  const query = new URLSearchParams();
  if (position !== undefined) {
    query.set('log', position.log);
    query.set('after', String(position.cursor));
  }
  query.set('wait', String(waitSec));
  return `?${query}`;
}
