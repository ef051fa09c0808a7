import { requireIdentity, verifyIdentity } from '@countersign/identity/express';
import express from 'express';
import { everyKind, identityJson, verifier } from './echo-service.js';

const app = express();
app.use(verifyIdentity({ verifier }));
app.use(requireIdentity({ accept: everyKind }), (req, res) => void res.json(identityJson(req.identity)));
app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
