import { requireIdentity, verifyIdentity } from '@countersign/identity/fastify';
import fastify from 'fastify';
import { everyKind, identityJson, verifier } from './echo-service.js';

const app = fastify();
await app.register(verifyIdentity, { verifier });
app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request, body) => body);
app.all('/*', { preHandler: requireIdentity({ accept: everyKind }) }, async (request) =>
  identityJson(request.identity),
);
await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' });
