import { createLogger, runProcess } from '@countersign/process-kit';
import { loadConfig } from '../src/config/load.ts';
import { startGateway } from '../src/start-gateway.ts';
import { startPrimary } from '../src/workers/primary.ts';
import { isWorker } from '../src/workers/worker-process.ts';

// `countersign serve --config FILE` with two workers, for tests: one that hangs is replaced after 3 s.

const [, , file = ''] = process.argv.slice(2);
const count = 2;
const common = { logger: createLogger('gateway', 'info'), drainDelayMs: 0, shutdownGraceMs: 5_000 };
const config = loadConfig(file, process.env, { workers: count });

await runProcess('gateway', async () => {
  if (!isWorker(process.env)) return startPrimary(config, { ...common, count, hungAfterMs: 3_000 });
  return startGateway(config, { ...common, env: process.env, workers: count });
});
