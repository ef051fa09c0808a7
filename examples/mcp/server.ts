import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, requireScope, verifyIdentity } from '@countersign/identity/express';
import { toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server';
import express from 'express';
import { callerOf, toAuthInfo } from './caller.ts';
import { createNotesServer } from './notes.ts';
import { serveSessions } from './sessions.ts';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const withoutSession = toNodeHandler(createMcpHandler(createNotesServer, { legacy: 'reject' }));
const withSession = serveSessions(createNotesServer);

const app = express().enable('strict routing').enable('case sensitive routing');
const verifier = createVerifier({ audience: 'mcp-server', keys, replay: memoryReplay(), agreement: 'memory' });
app.use(verifyIdentity({ verifier }));
app.use('/mcp', requireIdentity({ accept: ['user', 'client'] }), requireScope('notes.read'), express.json());
app.all('/mcp', async (req, res) => {
  const caller = callerOf(req.identity);
  if (caller === undefined) return void res.status(403).json({ error: 'This client does not belong to a tenant.' });
  if (await isLegacyRequest(await toWebRequest(req, req.body))) return withSession(req, res, caller);
  await withoutSession(Object.assign(req, { auth: toAuthInfo(caller) }), res, req.body);
});
app.listen(Number(process.env.PORT ?? 3001), '127.0.0.1');
