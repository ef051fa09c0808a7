import { Pool } from 'undici';
import type { Upstream } from '../config/config.ts';

/** One address of a service, with its connections. */
export type Target = Readonly<{ origin: string; host: string; pool: Pool }>;

export type UpstreamPools = Readonly<{
  /** The target whose turn it is. */
  next(upstream: Upstream): Target;
  /** Ends idle connections at once, the others when their requests are answered. */
  close(): Promise<void>;
}>;

const maxConnectionsPerTarget = 256;
// Shorter than the 5 s after which a node service closes an idle connection, so that none is used just as it closes.
const idleConnectionMs = 4_000;

/** Connections are made when they are first needed. */
export function createPools(upstreams: Iterable<Upstream>): UpstreamPools {
  const rings = new Map<string, { targets: readonly Target[]; turn: number }>();
  for (const upstream of upstreams) {
    rings.set(upstream.name, { targets: upstream.targets.map((origin) => openTarget(origin, upstream)), turn: 0 });
  }
  return {
    next(upstream) {
      const ring = rings.get(upstream.name);
      const target = ring?.targets[ring.turn];
      if (ring === undefined || target === undefined) throw new Error(`upstream ${upstream.name} has no targets`);
      ring.turn = (ring.turn + 1) % ring.targets.length;
      return target;
    },
    async close() {
      const targets = [...rings.values()].flatMap((ring) => ring.targets);
      await Promise.all(targets.map(({ pool }) => pool.close()));
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
