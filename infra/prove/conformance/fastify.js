import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, verifyIdentity } from '@countersign/identity/fastify';
import fastify from 'fastify';
import { everyKind, identityJson } from './identity-json.js';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const app = fastify();
await app.register(verifyIdentity, {
  verifier: createVerifier({ audience: 'my-service', keys, replay: memoryReplay() }),
});
app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request, body) => body);
app.all('/*', { preHandler: requireIdentity({ accept: everyKind }) }, async (request) =>
  identityJson(request.identity),
);
await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' });
