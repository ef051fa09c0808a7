import { createLogger, runProcess } from '@countersign/process-kit';
import { loadConfig } from '../src/config/load.ts';
import type { ListenerTimes } from '../src/listen/listener.ts';
import { startGateway } from '../src/start-gateway.ts';

// `countersign serve --config FILE` with short listener timeouts, for tests.

const [, , file = ''] = process.argv.slice(2);
const listenerTimes: ListenerTimes = { headMs: 6_000, keepAliveMs: 6_000, checkEveryMs: 250 };

await runProcess('gateway', () =>
  startGateway(loadConfig(file, process.env), {
    env: process.env,
    logger: createLogger('gateway', 'warn'),
    drainDelayMs: 0,
    listenerTimes,
  }),
);
