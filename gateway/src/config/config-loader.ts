import { once } from 'node:events';
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { ConfigError, type Environment } from '@countersign/process-kit';
import type { GatewayConfig } from './config.ts';
import { type LoadContext, loadConfig } from './load.ts';

type LoadedMessage = Readonly<{ config: GatewayConfig } | { problems: readonly string[] }>;
/** The input to the worker thread, which also runs this module. */
type Task = Readonly<{ countersignConfig: Parameters<typeof loadConfig> }>;

const timeoutMs = 30_000;
const maxMemoryMb = 1024;
/** About 200 routes, which take up to 50 ms to read. */
const maxBytesHere = 64 * 1024;

/**
 * Like `loadConfig`, but for use while the gateway serves requests. Reads large files in a worker thread: reading a
 * thousand routes takes 150 ms and would block requests. Starting the thread takes 0.4 s of CPU time and 80 MB, so
 * small files are read on the main thread.
 *
 * @returns A configuration without tests, which a running gateway does not need.
 * @throws ConfigError also for a file that takes more than 30 s or 1024 MB to read.
 */
export async function loadWhileRunning(
  file: string,
  env: Environment,
  { running, workers }: Required<Pick<LoadContext, 'running' | 'workers'>>,
): Promise<GatewayConfig> {
  const { listen, admin, redis, instances, journal, certificate, decision } = running;
  const settings = { listen, admin, redis, instances, journal, certificate, decision };
  const context: LoadContext = { running: settings, workers };
  if (isSmall(file)) return { ...loadConfig(file, env, context), tests: [] };
  const thread = new Worker(new URL(import.meta.url), {
    workerData: { countersignConfig: [file, { ...env }, context] } satisfies Task,
    // Source files resolve workspace packages with this condition. The test process starts without it.
    execArgv: extname(import.meta.url) === '.ts' ? ['--conditions=source'] : [],
    resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb },
  });
  thread.unref();
  try {
    const [message] = (await once(thread, 'message', { signal: AbortSignal.timeout(timeoutMs) })) as [LoadedMessage];
    if ('problems' in message) throw new ConfigError(message.problems);
    return { ...message.config, tests: [] };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ABORT_ERR') throw new ConfigError([`${file}: takes longer than ${timeoutMs / 1000} s to read`]);
    if (code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
    throw new ConfigError([`${file}: takes more than ${maxMemoryMb} MB to read`]);
  } finally {
    void thread.terminate();
  }
}

/** Whether the file is small or missing. Pipes count as large, because reading one could block forever. */
function isSmall(file: string): boolean {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats === undefined || (stats.isFile() && stats.size <= maxBytesHere);
}

const task = (workerData as Partial<Task> | null)?.countersignConfig;
if (task !== undefined) {
  try {
    parentPort?.postMessage({ config: loadConfig(...task) } satisfies LoadedMessage);
  } catch (error) {
    // Any other error ends the thread, and its `error` event reports it.
    if (!(error instanceof ConfigError)) throw error;
    parentPort?.postMessage({ problems: error.problems } satisfies LoadedMessage);
  }
}
