import { setTimeout as delay } from 'node:timers/promises';
import { type RecordingUpstream, recordingUpstream } from '@countersign/testing';

const batchSize = 5_000;

/**
 * Returns one batch of a feed with this many revoked sessions, in groups (docs/operations/revocations.md). None of
 * them belongs to a benchmark token.
 */
export function revocationBatch(
  count: number,
  after: number,
  { notBefore, expiresAt }: Readonly<{ notBefore: string; expiresAt: string }>,
) {
  const cursor = Math.min(count, after + batchSize);
  // As long as a UUID.
  const idOf = (index: number) => `01890a5d-0000-7000-8000-${index.toString(16).padStart(12, '0')}`;
  const ids = Array.from({ length: cursor - after }, (_, index) => idOf(after + index));
  const groups = [{ kind: 'session', ids, not_before: notBefore, expires_at: expiresAt }];
  return { log: `log-${count}`, cursor, complete: cursor === count, groups: ids.length === 0 ? [] : groups };
}

/**
 * The auth-service as the gateway sees it: a key set at `/jwks.json`, and at `/revocations/N` a feed with N
 * revocations.
 */
export function startIssuer(jwks: object): Promise<RecordingUpstream> {
  const startedMs = Math.floor(Date.now() / 1000) * 1000;
  const [notBefore = '', expiresAt = ''] = [0, 3_600_000].map((ms) => new Date(startedMs + ms).toISOString());
  return recordingUpstream({
    async answer({ target }, res) {
      const { pathname, searchParams } = new URL(target, 'http://issuer.test');
      const [, feed] = /^\/revocations\/(\d+)$/.exec(pathname) ?? [];
      if (feed === undefined) {
        res.setHeader('content-type', 'application/json').end(JSON.stringify(jwks));
        return;
      }
      const count = Number(feed);
      const after = searchParams.get('log') === `log-${count}` ? Number(searchParams.get('after')) : 0;
      // The log never grows, so a request at its end waits for the maximum time.
      if (after === count) await delay(Number(searchParams.get('wait')) * 1000, undefined, { ref: false });
      res
        .setHeader('content-type', 'application/vnd.countersign.revocation-groups+json')
        .end(JSON.stringify(revocationBatch(count, after, { notBefore, expiresAt })));
    },
  });
}
