import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, userOf, verifyIdentity } from '@countersign/identity/fastify';
import fastify from 'fastify';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const verifier = createVerifier({ audience: 'my-service', keys, replay: memoryReplay(), agreement: 'memory' });
const app = fastify();
await app.register(verifyIdentity, { verifier });
app.get('/hello', { preHandler: requireIdentity() }, async (request) => ({ hello: userOf(request).userId }));
await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' });
