import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { deserialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { ConfigError, type Environment } from '@countersign/service-kit';
import type { GatewayConfig, Route } from './config.ts';
import { inSlices } from './in-slices.ts';
import { type LoadContext, loadConfig } from './load.ts';

export type LoadRequest = Readonly<{ id: number; file: string; env: Environment; context: LoadContext }>;
export type LoadResponse = Readonly<{
  id: number;
  loaded?: Loaded;
  problems?: readonly string[];
  /** The stack of an unexpected error. */
  fault?: string;
}>;

/** A configuration, as one thread sends it to another. Its routes are in pieces: deserializing ten thousand at once would block requests. */
export type Loaded = Readonly<{
  /** Without tests, which a running gateway does not need. */
  config: Omit<GatewayConfig, 'routes' | 'tests'>;
  /** Each a serialized list of {@link LoadedRoute}. */
  routes: readonly Uint8Array[];
}>;

/** A route with the name of its upstream, because each piece would otherwise contain copies of upstreams. */
export type LoadedRoute = Omit<Route, 'upstream'> & Readonly<{ upstream: string }>;

/** Reads configurations while the gateway serves requests. */
export type ConfigLoader = Readonly<{
  /** Like `loadConfig`. Also refuses a file that takes more than 30 s or 1024 MB to read. */
  load(
    file: string,
    env: Environment,
    context: Required<Pick<LoadContext, 'running' | 'workers'>>,
  ): Promise<GatewayConfig>;
  stop(): Promise<void>;
}>;

const timeoutMs = 30_000;
const idleMs = 30_000;
const maxMemoryMb = 1024;
/** About two hundred routes, which take up to 50 ms. */
const maxBytesHere = 64 * 1024;

/**
 * Reads small files in this thread, and others in a thread of their own: a thousand routes take a third of a second, and requests would
 * time out meanwhile. To start that thread takes 0.4 s of a core, seconds on a busy one, and 80 MB. It ends after half a minute
 * without work.
 */
export function createConfigLoader(): ConfigLoader {
  let thread: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let lastId = 0;

  function open(): Worker {
    clearTimeout(idle);
    if (thread !== undefined) return thread;
    const extension = extname(import.meta.url);
    const opened = new Worker(new URL(`./config-loader-thread${extension}`, import.meta.url), {
      // Source files resolve workspaces by this condition. The process of the tests is started without it.
      execArgv: extension === '.ts' ? ['--conditions=source'] : [],
      resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb },
    });
    opened.unref();
    opened.once('exit', () => {
      if (thread === opened) thread = undefined;
    });
    thread = opened;
    return opened;
  }

  async function stop(): Promise<void> {
    clearTimeout(idle);
    const stopping = thread;
    thread = undefined;
    await stopping?.terminate();
  }

  return {
    async load(file, env, { running, workers }) {
      const { listen, admin, redis, certificate } = running;
      const context: LoadContext = { running: { listen, admin, redis, certificate }, workers };
      // Cloned as from a thread, so that configurations can be compared.
      if (isSmall(file)) return structuredClone({ ...loadConfig(file, env, context), tests: [] });
      lastId += 1;
      const request: LoadRequest = { id: lastId, file, env: { ...env }, context };
      const response = await send(open(), request).catch(async (error: unknown) => {
        await stop();
        throw error;
      });
      idle = setTimeout(() => void stop(), idleMs).unref();
      if (response.problems !== undefined) throw new ConfigError(response.problems);
      if (response.loaded === undefined) throw new Error(response.fault ?? 'no configuration');
      return assemble(response.loaded);
    },
    stop,
  };
}

/** Whether the file is small or missing. A pipe could block forever. */
function isSmall(file: string): boolean {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats === undefined || (stats.isFile() && stats.size <= maxBytesHere);
}

async function assemble({ config, routes: pieces }: Loaded): Promise<GatewayConfig> {
  const routes: Route[] = [];
  await inSlices(pieces, (piece) => {
    for (const route of deserialize(piece) as readonly LoadedRoute[]) {
      const upstream = config.upstreams.get(route.upstream);
      if (upstream === undefined) throw new Error(`the upstream ${route.upstream} was not checked`);
      routes.push({ ...route, upstream });
    }
  });
  return { ...config, routes, tests: [] };
}

function send(thread: Worker, request: LoadRequest): Promise<LoadResponse> {
  return new Promise((resolve, reject) => {
    const refuse = (why: string) => settle(() => reject(new ConfigError([`${request.file}: ${why}`])));
    const timer = setTimeout(() => refuse(`takes longer than ${timeoutMs / 1000} s to read`), timeoutMs);
    const onMessage = (response: LoadResponse) => {
      if (response.id === request.id) settle(() => resolve(response));
    };
    const onError = (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') refuse(`takes more than ${maxMemoryMb} MB to read`);
      else settle(() => reject(error));
    };
    const onExit = () => settle(() => reject(new Error('the loading thread ended')));
    function settle(how: () => void): void {
      clearTimeout(timer);
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
      how();
    }
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    thread.postMessage(request);
  });
}
