import { createRouter } from '@countersign/service-kit';
import type { Router } from 'express';
import type { WebhookKeys } from '../../domain/webhooks/webhook-keys.ts';

/**
 * Publishes the key that signs deliveries with `ed25519` (RFC 7517). Receivers fetch it again when they see an unknown
 * `keyid`.
 */
export function webhookKeyRoutes({ published }: WebhookKeys): Router {
  const router = createRouter();
  router.get('/.well-known/webhook-keys.json', (_req, res) => {
    res.set('cache-control', 'public, max-age=300').json({ keys: [published] });
  });
  return router;
}
