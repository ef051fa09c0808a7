import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, verifyIdentity } from '@countersign/identity/express';
import express from 'express';
import { everyKind, identityJson } from './identity-json.js';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const app = express();
app.use(verifyIdentity({ verifier: createVerifier({ audience: 'my-service', keys, replay: memoryReplay() }) }));
app.use(requireIdentity({ accept: everyKind }), (req, res) => void res.json(identityJson(req.identity)));
app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
