import { requireIdentity, verifyIdentity } from '@countersign/identity/web';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { everyKind, identityJson, verifier } from './echo-service.js';

const verify = verifyIdentity({ verifier });
const app = new Hono();
app.use(async (c, next) => {
  c.req.raw = await verify(c.req.raw);
  await next();
});
app.all('/*', (c) => c.json(identityJson(requireIdentity(c.req.raw, { accept: everyKind }))));
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000), hostname: '127.0.0.1' });
