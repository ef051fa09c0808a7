import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, verifyIdentity } from '@countersign/identity/express';
import express from 'express';

// Plain http is safe here: only containers of one network reach the key set.
const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL, insecureTransport: true });
keys.start();
const verifier = createVerifier({ audience: 'api', keys, replay: memoryReplay(), agreement: 'memory' });
const app = express().enable('strict routing').enable('case sensitive routing');
app.use(verifyIdentity({ verifier }));
app.get('/orders', requireIdentity(), (req, res) => {
  const { userId, role, tenantId } = req.identity;
  res.json({ userId, role, tenantId });
});
const server = app.listen(3000);
process.on('SIGTERM', () => server.close(() => process.exit()));
