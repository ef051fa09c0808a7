import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, verifyIdentity } from '@countersign/identity/web';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { everyKind, identityJson } from './identity-json.js';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const verify = verifyIdentity({ verifier: createVerifier({ audience: 'my-service', keys, replay: memoryReplay() }) });
const app = new Hono();
app.use(async (c, next) => {
  c.req.raw = await verify(c.req.raw);
  await next();
});
app.all('/*', (c) => c.json(identityJson(requireIdentity(c.req.raw, { accept: everyKind }))));
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000), hostname: '127.0.0.1' });
