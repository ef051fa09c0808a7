import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import { createServiceServer, drainServer, listen } from '@countersign/process-kit';
import express from 'express';

// A service in a separate process, for tests that stop it. Its variables:
// PORT, KEYS_URL (the gateway's key set), AGREEMENT_KEYS (a directory), KEY_SET_FILE (served as its key set while it
// exists), CLOCK_OFFSET_MS.
const { PORT, KEYS_URL = '', AGREEMENT_KEYS = '', KEY_SET_FILE = '', CLOCK_OFFSET_MS = '0' } = process.env;
const nowMs = () => Date.now() + Number(CLOCK_OFFSET_MS);

const keys = gatewayKeys({ url: KEYS_URL });
await keys.start();
const replay = memoryReplay({ nowMs });
const verifier = createVerifier({ audience: 'things', keys, replay, nowMs, agreement: { keys: AGREEMENT_KEYS } });
const counts: Record<string, number> = {};
const app = express();
app.get('/counts', (_req, res) => void res.json(counts));
app.use('/.well-known/jwks.json', (_req, res, next) => {
  counts.key_set = (counts.key_set ?? 0) + 1;
  try {
    res.send(readFileSync(KEY_SET_FILE));
  } catch {
    next();
  }
});
app.use(
  verifyIdentity({
    verifier,
    onRefused: (_req, _res, { reason }) => {
      counts[reason] = (counts[reason] ?? 0) + 1;
    },
  }),
);
// Not every path: an answer to the key set's path would replace the service's own keys.
app.use('/v1', (req, res) => {
  const [, alg = ''] = /;alg="([^"]+)"/.exec(String(req.headers['signature-input'])) ?? [];
  counts[alg] = (counts[alg] ?? 0) + 1;
  res.json({ ok: true });
});
// A request is refused if it was signed before this memory began. A gateway whose clock is behind signs such requests
// for longer.
await delay(replay.startsAtMs - nowMs() + 1_000 + Math.max(0, Number(CLOCK_OFFSET_MS)));
const server = createServiceServer(app);
await listen(server, { host: '127.0.0.1', port: Number(PORT) }, 'service');
process.stdout.write('listening\n');
process.on('SIGTERM', async () => {
  await drainServer(server, 5_000);
  process.exit(0);
});
