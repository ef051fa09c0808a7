import type { Server } from 'node:http';
import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, userOf, verifyIdentity } from '@countersign/identity/express';
import express from 'express';

/** Creates the service behind the gateway. It knows the gateway's keys, but nothing about the provider. */
export function startService(port: number, gatewayKeysUrl: string): Server {
  const keys = gatewayKeys({ url: gatewayKeysUrl });
  keys.start();
  const app = express().enable('strict routing').enable('case sensitive routing');
  const verifier = createVerifier({ audience: 'orders', keys, replay: memoryReplay(), agreement: 'memory' });
  app.use(verifyIdentity({ verifier }));
  app.get('/orders', requireIdentity(), (req, res) => {
    const { userId, role, tenantId, context } = userOf(req);
    res.json({ orders: [], userId, role, tenantId, context });
  });
  return app.listen(port, '127.0.0.1');
}
