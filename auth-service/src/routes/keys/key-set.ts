import { createRouter } from '@countersign/service-kit';
import type { Router } from 'express';
import type { SigningKeys } from '../../flows/keys/signing-keys.ts';

/** The public keys, for whoever verifies our tokens: needs no identity, since it is what identities are made from. */
export function keySetRoutes(signingKeys: SigningKeys): Router {
  const router = createRouter();
  router.get('/.well-known/jwks.json', (_req, res) => {
    const { body, etag } = signingKeys.published();
    // With an ETag set, Express itself answers If-None-Match.
    res.set({ 'cache-control': 'public, max-age=300', etag }).type('application/jwk-set+json').send(body);
  });
  return router;
}
