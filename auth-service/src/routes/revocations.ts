import { createRouter } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import type { Feed } from '../flows/follow-revocations.ts';
import type { Revocation } from '../store/revocations.ts';
import { endpoint, serve } from './endpoint.ts';

const maxWaitSec = 30;

const feedQuery = z.object({
  log: z.string().max(128).optional(),
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  wait: z.coerce.number().int().min(0).max(maxWaitSec).default(0),
});

const revocation = z
  .object({
    kind: z.enum(['session', 'member', 'user', 'tenant', 'key']),
    sid: z.string().optional(),
    user_id: z.string().optional(),
    tenant_id: z.string().optional(),
    kid: z.string().optional(),
    not_before: z.iso.datetime(),
    expires_at: z.iso.datetime(),
  })
  .meta({ id: 'Revocation' });

export const followRevocationsEndpoint = endpoint({
  method: 'get',
  path: '/internal/revocations',
  operationId: 'followRevocations',
  summary: 'Follow the revocation log; for the gateway itself, on no public route',
  access: 'gateway',
  query: feedQuery,
  answers: {
    200: z.object({ log: z.string(), cursor: z.int(), complete: z.boolean(), items: z.array(revocation) }),
  },
  refusals: [],
});

/** The revocation log, for the gateway alone. */
export function revocationRoutes(feed: Feed): Router {
  const router = createRouter();
  serve(router, followRevocationsEndpoint, async ({ res, query }) => {
    const { log, after, wait } = query;
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

function toItem(entry: Revocation): z.infer<typeof revocation> {
  const { kind, sid, user_id, tenant_id, kid, not_before, expires_at } = entry;
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
