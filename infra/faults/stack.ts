import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, isInstalled, type ThrowAwayRedis, throwAwayRedis } from '@countersign/testing';
import { type GatewayYaml, makePlace, type Place, repository, writeGatewayConfig } from '../e2e/stack.ts';
import { type Child, type ChildSpec, isCompletelyReady, startChild } from '../local/child.ts';
import { keep, type Running } from '../local/keep.ts';
import { readSettings } from '../local/settings.ts';
import { describeStack } from '../local/stack.ts';
import { type RealPrometheus, realPrometheus } from '../prometheus/real-prometheus.ts';
import { childrenOf, type OwnPostgres, ownPostgres } from './own-postgres.ts';

export const parts = ['gateway', 'auth-service', 'users-service', 'complaint-service'] as const;
export type Part = (typeof parts)[number];

/** How to start a part from now on. */
export type Changes = Readonly<{ nodeOptions?: readonly string[]; env?: Readonly<Record<string, string>> }>;

export type FaultStack = Readonly<{
  /** The gateway's origin. */
  origin: string;
  place: Place;
  configFile: string;
  responseMs: number;
  /** How late a response may be because the machine is busy. */
  lateMs: number;
  /** Waits for the duration of a fault. */
  hold(ms: number): Promise<void>;
  redis: ThrowAwayRedis;
  postgres: OwnPostgres;
  /** Directories on small disks that a fault can fill. */
  disks: Readonly<{ database: string; home: string }>;
  /** Undefined if Prometheus is not installed. */
  prometheus: RealPrometheus | undefined;
  pidOf(part: Part): number;
  /** The process ids of the gateway's workers. */
  workers(): readonly number[];
  /**
   * Kills the part, by default with SIGKILL, and resolves when its next process accepts connections.
   *
   * @param changes How to start it from now on. By default as before.
   */
  restart(part: Part, end?: (pid: number) => unknown, changes?: Changes): Promise<void>;
  /** Resolves when every part is ready and nothing is missing. */
  ready(): Promise<void>;
  stop(): Promise<void>;
}>;

export type FaultStackOptions = Readonly<{
  /** The timeout of all routes. */
  responseMs: number;
  /**
   * `short` is for a test: without alerts and small disks, with faults that last a third of the time, and with more
   * tolerance for late responses.
   */
  form: 'whole' | 'short';
}>;

/** Only root can mount a disk that is small enough to be filled. */
export const mayMount = process.getuid?.() === 0;
const databaseDisk = '1g';
const homeDisk = '128m';

/** Runs the processes of `npm start` with their own PostgreSQL and Redis. The gateway has two workers. */
export async function startFaultStack(options: FaultStackOptions): Promise<FaultStack> {
  const { responseMs, form } = options;
  const closing: (() => unknown)[] = [];
  const closeAll = async () => {
    for (const close of closing.splice(0).reverse()) await close();
  };
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= closeAll();
    return stopping;
  };
  try {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-faults-'));
    closing.push(() => rmSync(directory, { recursive: true }));
    const mount = (path: string, size: string) => {
      if (form === 'short' || !mayMount) return;
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', path]);
      closing.push(() => execFileSync('umount', ['--lazy', path]));
    };
    mount(directory, databaseDisk);
    const postgres = await ownPostgres(directory);
    closing.push(() => postgres.kill());
    await postgres.start();
    const redis = await throwAwayRedis();
    closing.push(() => redis.kill());
    const place = await makePlace({ databaseUrl: postgres.url, redisUrl: redis.url });
    closing.push(() => place.remove());
    mount(place.home, homeDisk);
    const configFile = writeGatewayConfig(place, 'faults.yaml', (config) => adapt(config, responseMs));
    const env = { ...place.env, GATEWAY_CONFIG: configFile, LOG_LEVEL: 'warn' };
    const described = await describeStack(readSettings(env));
    const specs = new Map(described.map((spec) => [spec.name, { ...spec, env: { ...env, ...spec.env } }]));
    const ports = portsOf(place);
    const started = parts.map((part) => startPart(specOf(specs, part)));
    const running = new Map(parts.map((part, at) => [part, started[at] as StartedPart]));
    closing.push(() => Promise.all(started.map((part) => part.stop())));
    const partOf = (part: Part) => running.get(part) as StartedPart;
    const ready = () =>
      eventually(async () => {
        const states = await Promise.all(started.map(({ readyUrl }) => isCompletelyReady(readyUrl)));
        if (!states.every(Boolean)) throw new Error(`not ready: ${parts.filter((_, at) => !states[at]).join(', ')}`);
      }, 60_000);
    await ready();
    const prometheus =
      form === 'whole' && isInstalled('prometheus')
        ? await realPrometheus({ ...ports, gateway: place.ports.admin })
        : undefined;
    closing.push(() => prometheus?.close());
    return {
      origin: `http://127.0.0.1:${ports.gateway}`,
      place,
      configFile,
      responseMs,
      lateMs: form === 'whole' ? 500 : 2_000,
      hold: (ms) => delay(form === 'whole' ? ms : ms / 3),
      redis,
      postgres,
      disks: { database: directory, home: place.home },
      prometheus,
      pidOf: (part) => partOf(part).pid(),
      workers: () => childrenOf(partOf('gateway').pid()),
      async restart(part, end = (pid) => process.kill(pid, 'SIGKILL'), changes) {
        await partOf(part).restart(end, changes);
        await accepts(ports[part]);
      },
      ready,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const portsOf = ({ ports }: Place): Readonly<Record<Part, number>> => ({
  gateway: ports.gateway,
  'auth-service': ports.auth,
  'users-service': ports.users,
  'complaint-service': ports.complaints,
});

function specOf(specs: ReadonlyMap<string, ChildSpec>, part: Part): ChildSpec {
  const spec = specs.get(part);
  if (spec === undefined) throw new Error(`npm start has no ${part}`);
  return part === 'gateway' ? { ...spec, args: [...spec.args, '--workers', '2'] } : spec;
}

/** Writes the shipped gateway.yaml without the pages of web/, whose server does not run. */
function adapt(config: GatewayYaml, responseMs: number): void {
  delete config.upstreams.web;
  config.routes = config.routes.filter(({ upstream }) => upstream !== 'web');
  for (const upstream of Object.values(config.upstreams)) upstream.timeouts = { response: `${responseMs}ms` };
  for (const { revocations } of config.issuers) revocations.maxStaleness = '5s';
}

type StartedPart = Running & Readonly<{ readyUrl: string; pid(): number; restart: Restart }>;
type Restart = (end: (pid: number) => unknown, changes: Changes | undefined) => Promise<void>;

/** Keeps a process running as `npm start` does. */
function startPart(spec: ChildSpec): StartedPart {
  let latest: Child;
  let changed: Changes = {};
  const start = () => {
    const nodeOptions = [...(spec.nodeOptions ?? []), ...(changed.nodeOptions ?? [])];
    latest = startChild({ ...spec, nodeOptions, env: { ...spec.env, ...changed.env } }, repository);
    return latest;
  };
  const kept = keep(start(), start, () => {});
  const pid = () => latest.pid;
  return {
    ...kept,
    readyUrl: spec.readyUrl,
    pid,
    async restart(end, changes = {}) {
      changed = changes;
      const ended = pid();
      await end(ended);
      await eventually(() => {
        if (pid() === ended) throw new Error(`${spec.name} was not started again`);
      }, 60_000);
    },
  };
}

const accepts = (port: number): Promise<void> =>
  eventually(async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  }, 60_000);
