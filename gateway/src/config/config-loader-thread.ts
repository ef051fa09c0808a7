import { parentPort, workerData } from 'node:worker_threads';
import { ConfigError } from '@countersign/service-kit';
import type { LoadedMessage } from './config-loader.ts';
import { loadConfig } from './load.ts';

/** The thread of `config-loader.ts`: reads one configuration. Other errors end it, and reach the `error` event of the thread. */
function load(): LoadedMessage {
  try {
    return { config: loadConfig(...(workerData as Parameters<typeof loadConfig>)) };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    throw error;
  }
}

parentPort?.postMessage(load());
