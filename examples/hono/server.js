import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { protect, requireIdentity } from '@countersign/identity/web';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const verifier = createVerifier({ audience: 'my-service', keys, replay: memoryReplay(), agreement: 'memory' });
const app = new Hono();
app.get('/hello', (c) => c.json({ hello: requireIdentity(c.req.raw).userId }));
const fetch = protect({ verifier }, app.fetch);
serve({ fetch, port: Number(process.env.PORT ?? 3000), hostname: '127.0.0.1' });
