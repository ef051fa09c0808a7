import { createLogger, runProcess } from '@countersign/service-kit';
import { loadConfig } from '../src/config/load.ts';
import { serveGateway } from '../src/serve.ts';
import { servePrimary } from '../src/workers/primary.ts';
import { isWorker } from '../src/workers/worker-process.ts';

// `countersign serve --config FILE` with two workers, for tests: one that hangs is replaced after 3 s.

const [, , file = ''] = process.argv.slice(2);
const count = 2;
const common = { logger: createLogger('gateway', 'info'), drainDelayMs: 0, shutdownGraceMs: 5_000 };
const config = loadConfig(file, process.env, { workers: count });

await runProcess('gateway', async () => {
  if (!isWorker(process.env)) return servePrimary(config, { ...common, count, hungAfterMs: 3_000 });
  return serveGateway(config, { ...common, env: process.env, workers: count });
});
