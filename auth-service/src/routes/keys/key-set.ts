import { createRouter } from '@countersign/service-kit';
import type { Router } from 'express';
import type { SigningKeys } from '../../flows/keys/signing-keys.ts';

/**
 * Serves the public keys to verifiers of access tokens. The route needs no signed identity: the keys establish
 * identities.
 */
export function keySetRoutes(signingKeys: SigningKeys): Router {
  const router = createRouter();
  router.get('/.well-known/jwks.json', (_req, res) => {
    const { body, etag } = signingKeys.published();
    // With an ETag set, Express itself answers If-None-Match.
    res.set({ 'cache-control': 'public, max-age=300', etag }).type('application/jwk-set+json').send(body);
  });
  return router;
}
