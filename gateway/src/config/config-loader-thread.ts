import { serialize } from 'node:v8';
import { parentPort } from 'node:worker_threads';
import { ConfigError } from '@countersign/service-kit';
import type { GatewayConfig } from './config.ts';
import type { Loaded, LoadedRoute, LoadRequest, LoadResponse } from './config-loader.ts';
import { loadConfig } from './load.ts';

const routesInPiece = 250;

/** The thread of `config-loader.ts`: reads one configuration per message. */
parentPort?.on('message', ({ id, file, env, context }: LoadRequest) => {
  parentPort?.postMessage({ id, ...load(file, env, context) } satisfies LoadResponse);
});

function load(...request: Parameters<typeof loadConfig>): Omit<LoadResponse, 'id'> {
  try {
    return { loaded: serialized(loadConfig(...request)) };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    return { fault: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function serialized({ routes, tests: _tests, ...config }: GatewayConfig): Loaded {
  const named = routes.map((route): LoadedRoute => ({ ...route, upstream: route.upstream.name }));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < named.length; at += routesInPiece) {
    pieces.push(serialize(named.slice(at, at + routesInPiece)));
  }
  return { config, routes: pieces };
}
