import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { haproxyVersion } from '../rivals/haproxy.ts';
import { nodeOf } from '../site/gateway.ts';
import type { Cores } from './cores.ts';

/** One sentence about where and when this was measured. */
export function describeMachine(
  options: Readonly<{ cores: Cores | undefined; load: string; gateways: readonly string[] }>,
): string {
  const { cores, load, gateways } = options;
  const date = new Date().toISOString().slice(0, 10);
  const [busyFor1min = 0] = loadavg();
  const pinned =
    cores === undefined
      ? 'Nothing is pinned.'
      : `The server has core ${cores.server}; the upstream and the load have core ${cores.load}.`;
  const versions = gateways.map((folder) => {
    const node = execFileSync(nodeOf(folder), ['--version'], { encoding: 'utf8' }).trim();
    return `gateway ${commitOf(folder)} on Node ${node}`;
  });
  return (
    `${date}: ${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, load average ${busyFor1min.toFixed(1)} ` +
    `at the start. ${versions.join(', ')}. ${pinned} Load: ${load}.`
  );
}

/** The versions of the servers that the gateway is compared with. */
export function rivalVersions(): string {
  // infra/package.json pins exact versions.
  const pinned: Readonly<Record<string, string>> = Object.assign(
    {},
    ...['../../package.json', '../package.json'].map(
      (file) => JSON.parse(readFileSync(resolve(import.meta.dirname, file), 'utf8')).dependencies,
    ),
  );
  const packages = ['undici', 'express', 'http-proxy-middleware', 'jose', '@fastify/http-proxy', 'fast-jwt'];
  const haproxy = haproxyVersion();
  const others = haproxy === undefined ? [] : [`HAProxy ${haproxy}`];
  return `${[...packages.map((name) => `${name} ${pinned[name]}`), ...others].join(', ')}.`;
}

function commitOf(folder: string): string {
  try {
    const describe = ['describe', '--always', '--dirty'];
    return execFileSync('git', describe, { cwd: resolve(folder), encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'without a commit';
  }
}
