import { readFileSync } from 'node:fs';
import proxy from '@fastify/http-proxy';
import { createVerifier } from 'fast-jwt';
import fastify from 'fastify';

// Fastify's own proxy. fast-jwt keeps verified tokens in its cache, so a signature is checked once for each token.

const [port, upstream = '', publicKeyFile = '', issuer = '', audience = ''] = process.argv.slice(2);
const verify = createVerifier({
  key: readFileSync(publicKeyFile, 'utf8'),
  algorithms: ['RS256'],
  allowedIss: issuer,
  allowedAud: audience,
  cache: true,
});

const app = fastify();
app.register(proxy, {
  upstream,
  undici: { connections: 64, pipelining: 1 },
  preHandler(request, reply, done) {
    try {
      const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const payload = verify(token) as Readonly<{ sub: string }>;
      request.headers['x-user-id'] = payload.sub;
      done();
    } catch {
      reply.code(401).send();
    }
  },
});
await app.listen({ port: Number(port), host: '127.0.0.1' });
