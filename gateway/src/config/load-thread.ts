import { parentPort } from 'node:worker_threads';
import { ConfigError } from '@countersign/service-kit';
import { loadConfig } from './load.ts';
import type { LoadAnswer, LoadQuestion } from './load-aside.ts';

/** What runs in the thread of `load-aside.ts`: one configuration a message. */
parentPort?.on('message', ({ id, file, env, setting }: LoadQuestion) => {
  parentPort?.postMessage({ id, ...read(file, env, setting) } satisfies LoadAnswer);
});

function read(...question: Parameters<typeof loadConfig>): Omit<LoadAnswer, 'id'> {
  try {
    return { config: loadConfig(...question) };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
