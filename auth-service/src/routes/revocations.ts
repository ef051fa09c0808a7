import { requireIdentity } from '@countersign/identity/express';
import { Router } from 'express';
import { z } from 'zod';
import type { Feed } from '../flows/follow-revocations.ts';
import type { Revocation } from '../store/revocations.ts';

const maxWaitSec = 30;

const feedQuery = z.object({
  log: z.string().max(128).optional(),
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  wait: z.coerce.number().int().min(0).max(maxWaitSec).default(0),
});

/** The revocation log, for the gateway alone. */
export function revocationRoutes(feed: Feed): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/internal/revocations', requireIdentity('gateway'), async (req, res) => {
    const { log, after, wait } = feedQuery.parse(req.query);
    const gone = new AbortController();
    res.once('close', () => gone.abort());
    const page = await feed.next({ log, after, waitMs: wait * 1000 }, gone.signal);
    // Or a gateway would ask again on a connection that keeps this process from stopping.
    if (feed.ended) res.set('connection', 'close');
    res.set('cache-control', 'no-store').json({
      log: page.log,
      cursor: page.cursor,
      complete: page.complete,
      items: page.items.map(toItem),
    });
  });
  return router;
}

function toItem({ kind, sid, user_id, tenant_id, kid, not_before, expires_at }: Revocation) {
  return {
    kind,
    ...(sid !== null && { sid }),
    ...(user_id !== null && { user_id }),
    ...(tenant_id !== null && { tenant_id }),
    ...(kid !== null && { kid }),
    not_before: not_before.toISOString(),
    expires_at: expires_at.toISOString(),
  };
}
