import { Agent } from 'node:http';
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { createRemoteJWKSet, jwtVerify } from 'jose';

// The usual recipe: Express verifies the token with jose, and http-proxy-middleware forwards the request.

const [port, upstream = '', jwks = '', issuer = '', audience = ''] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(jwks));

const app = express();
app.use(async (req, res, next) => {
  try {
    const token = /^Bearer (\S+)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
    const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: ['RS256'] });
    req.headers['x-user-id'] = payload.sub;
    next();
  } catch {
    res.sendStatus(401);
  }
});
app.use(createProxyMiddleware({ target: upstream, agent: new Agent({ keepAlive: true, maxSockets: 64 }) }));
app.listen(Number(port), '127.0.0.1');
