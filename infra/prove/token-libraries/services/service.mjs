import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { errors } from 'jose';
import { isForRequest } from './bound-request.mjs';
import { verifyToken } from './identity-token.mjs';

async function handle(req, res) {
  const body = await buffer(req);
  try {
    const claims = await verifyToken(req.headers['countersign-token'] ?? '');
    if (isForRequest(claims, req, req.url.startsWith('/stream') ? undefined : body)) res.end(claims.user_id);
    else res.writeHead(401).end('another request');
  } catch (error) {
    res.writeHead(error instanceof errors.JOSEError ? 401 : 500).end(String(error));
  }
}

createServer((req, res) => void handle(req, res)).listen(Number(process.env.PORT), '127.0.0.1');
