import { serialize } from 'node:v8';
import { parentPort } from 'node:worker_threads';
import { ConfigError } from '@countersign/service-kit';
import type { GatewayConfig } from './config.ts';
import { loadConfig } from './load.ts';
import type { LoadAnswer, Loaded, LoadedRoute, LoadQuestion } from './load-aside.ts';

const routesInPiece = 250;

/** What runs in the thread of `load-aside.ts`: one configuration a message. */
parentPort?.on('message', ({ id, file, env, setting }: LoadQuestion) => {
  parentPort?.postMessage({ id, ...read(file, env, setting) } satisfies LoadAnswer);
});

function read(...question: Parameters<typeof loadConfig>): Omit<LoadAnswer, 'id'> {
  try {
    return { loaded: inPieces(loadConfig(...question)) };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function inPieces({ routes, tests: _tests, ...config }: GatewayConfig): Loaded {
  const named = routes.map((route): LoadedRoute => ({ ...route, upstream: route.upstream.name }));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < named.length; at += routesInPiece) {
    pieces.push(serialize(named.slice(at, at + routesInPiece)));
  }
  return { config, routes: pieces };
}
