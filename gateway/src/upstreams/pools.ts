import { Pool } from 'undici';
import type { Upstream } from '../config/config.ts';

/** One address of a service, with its connections. */
export type Target = Readonly<{ origin: string; host: string; pool: Pool }>;

/** One upstream's targets. */
export type UpstreamPool = Readonly<{
  /** The target whose turn it is. */
  next(): Target;
  /** Ends idle connections at once, the others when their requests are answered. */
  close(): Promise<void>;
}>;

/** The upstreams of one configuration. */
export type UpstreamPools = Readonly<{ next(upstream: Upstream): Target }>;

const maxConnectionsPerTarget = 256;
// Shorter than the 5 s after which a node service closes an idle connection, so that none is used just as it closes.
const idleConnectionMs = 4_000;

/** Connections are made when they are first needed. */
export function openUpstream(upstream: Upstream): UpstreamPool {
  const targets = upstream.targets.map((origin) => openTarget(origin, upstream));
  let turn = 0;
  return {
    next() {
      const target = targets[turn];
      if (target === undefined) throw new Error(`upstream ${upstream.name} has no targets`);
      turn = (turn + 1) % targets.length;
      return target;
    },
    async close() {
      await Promise.all(targets.map(({ pool }) => pool.close()));
    },
  };
}

/** @param opened By name. */
export function poolsOf(opened: ReadonlyMap<string, UpstreamPool>): UpstreamPools {
  return {
    next({ name }) {
      const upstream = opened.get(name);
      if (upstream === undefined) throw new Error(`upstream ${name} is not open`);
      return upstream.next();
    },
  };
}

function openTarget(origin: string, { timeouts }: Upstream): Target {
  const pool = new Pool(origin, {
    // One request at a time: with pipelining, one that hangs would hold up others of other people.
    pipelining: 1,
    connections: maxConnectionsPerTarget,
    connect: { timeout: timeouts.connectMs },
    headersTimeout: timeouts.responseMs,
    bodyTimeout: timeouts.idleMs,
    keepAliveTimeout: idleConnectionMs,
    maxHeaderSize: 16 * 1024,
    allowH2: false,
  });
  return { origin, host: new URL(origin).host, pool };
}
