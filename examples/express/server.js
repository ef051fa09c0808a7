import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, userOf, verifyIdentity } from '@countersign/identity/express';
import express from 'express';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const verifier = createVerifier({ audience: 'my-service', keys, replay: memoryReplay(), agreement: 'memory' });
const app = express().enable('strict routing').enable('case sensitive routing');
app.use(verifyIdentity({ verifier }));
app.get('/hello', requireIdentity(), (req, res) => void res.json({ hello: userOf(req).userId }));
app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
