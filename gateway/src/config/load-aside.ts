import { extname } from 'node:path';
import { deserialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { ConfigError, type Environment } from '@countersign/service-kit';
import type { GatewayConfig, Route } from './config.ts';
import { inSlices } from './in-slices.ts';
import type { Setting } from './load.ts';

export type LoadQuestion = Readonly<{ id: number; file: string; env: Environment; setting: Setting }>;
export type LoadAnswer = Readonly<{
  id: number;
  loaded?: Loaded;
  problems?: readonly string[];
  /** Of ours, with its stack. */
  fault?: string;
}>;

/** A configuration on its way between threads. Its routes are taken over a piece at a time: ten thousand at once would hold up requests. */
export type Loaded = Readonly<{
  /** Without tests, which nothing here runs. */
  config: Omit<GatewayConfig, 'routes' | 'tests'>;
  /** Each a list of {@link LoadedRoute}, serialized. */
  routes: readonly Uint8Array[];
}>;

/** Its upstream is named: each piece would otherwise hold copies of it. */
export type LoadedRoute = Omit<Route, 'upstream'> & Readonly<{ upstream: string }>;

/** Reads configurations while requests are served. */
export type LoadAside = Readonly<{
  /** As `loadConfig`; a file that cannot be read within the time limit or the memory limit is refused too. */
  load(file: string, env: Environment, setting: Required<Setting>): Promise<GatewayConfig>;
  stop(): Promise<void>;
}>;

const withinMs = 30_000;
const idleMs = 30_000;
const maxMemoryMb = 1024;

/**
 * Reads in a thread of its own. A thousand routes take a third of a second, and a file made to hurt takes some: long enough for
 * requests to run into their time limits. The thread is there while it is needed and for half a minute after.
 */
export function createLoadAside(): LoadAside {
  let thread: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let lastId = 0;

  function open(): Worker {
    clearTimeout(idle);
    if (thread !== undefined) return thread;
    const extension = extname(import.meta.url);
    const opened = new Worker(new URL(`./load-thread${extension}`, import.meta.url), {
      // From source, workspaces resolve by this condition, which the tests' own process was not started with.
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
      lastId += 1;
      const { listen, admin, redis, certificate } = running;
      const setting: Setting = { running: { listen, admin, redis, certificate }, workers };
      const question: LoadQuestion = { id: lastId, file, env: { ...env }, setting };
      const answer = await ask(open(), question).catch(async (error: unknown) => {
        await stop();
        throw error;
      });
      idle = setTimeout(() => void stop(), idleMs).unref();
      if (answer.problems !== undefined) throw new ConfigError(answer.problems);
      if (answer.loaded === undefined) throw new Error(answer.fault ?? 'no answer');
      return takeOver(answer.loaded);
    },
    stop,
  };
}

async function takeOver({ config, routes: pieces }: Loaded): Promise<GatewayConfig> {
  const routes: Route[] = [];
  await inSlices(pieces, (piece) => {
    for (const route of deserialize(piece) as readonly LoadedRoute[]) {
      const upstream = config.upstreams.get(route.upstream);
      if (upstream === undefined) throw new Error(`${route.upstream} was not checked`);
      routes.push({ ...route, upstream });
    }
  });
  return { ...config, routes, tests: [] };
}

function ask(thread: Worker, question: LoadQuestion): Promise<LoadAnswer> {
  return new Promise((resolve, reject) => {
    const refuse = (why: string) => settle(() => reject(new ConfigError([`${question.file}: ${why}`])));
    const timer = setTimeout(() => refuse(`takes longer than ${withinMs / 1000} s to read`), withinMs);
    const onMessage = (answer: LoadAnswer) => {
      if (answer.id === question.id) settle(() => resolve(answer));
    };
    const onError = (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') refuse(`takes more than ${maxMemoryMb} MB to read`);
      else settle(() => reject(error));
    };
    const onExit = () => settle(() => reject(new Error('the thread that reads ended')));
    function settle(how: () => void): void {
      clearTimeout(timer);
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
      how();
    }
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    thread.postMessage(question);
  });
}
