import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, isInstalled, type StartedProcess, startProcess, throwAwayRedis } from '@countersign/testing';
import { realPrometheus } from '../../ship/prometheus/real-prometheus.ts';
import { childrenOf, ownPostgres } from '../../stacks/own-postgres.ts';
import { type Changes, describeParts, startParts } from '../../stacks/parts.ts';
import { type GatewayYaml, makePlace, repository, writeGatewayConfig } from '../../stacks/stack.ts';

const parts = ['gateway', 'auth-service', 'users-service', 'complaint-service'] as const;
export type Part = (typeof parts)[number];

export type FaultStack = Awaited<ReturnType<typeof startFaultStack>>;

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
const restartAfterMs = 1_000;

/** Runs the processes of `npm start` with their own PostgreSQL and Redis. The gateway has two workers. */
export async function startFaultStack({ responseMs, form }: FaultStackOptions) {
  const isWhole = form === 'whole';
  const closing: (() => unknown)[] = [];
  const closeAll = async () => {
    for (const close of closing.reverse()) await close();
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
      if (!isWhole || !mayMount) return;
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
    const specs = describeParts(place, parts, { GATEWAY_CONFIG: configFile, LOG_LEVEL: 'warn' });
    const started = await startParts(
      specs.map((spec) => (spec.name === 'gateway' ? { ...spec, args: [...spec.args, '--workers', '2'] } : spec)),
    );
    closing.push(() => Promise.all(started.map((part) => part.stop())));
    const partOf = (name: Part) => started[parts.indexOf(name)] as (typeof started)[number];
    const { gateway, admin, auth, users, complaints } = place.ports;
    const ports = { gateway, 'auth-service': auth, 'users-service': users, 'complaint-service': complaints };
    const prometheus =
      isWhole && isInstalled('prometheus') ? await realPrometheus({ ...ports, gateway: admin }) : undefined;
    closing.push(() => prometheus?.close());
    const run = (program: string, args: readonly string[]): StartedProcess =>
      startProcess({ args: [program, ...args], env: place.env, cwd: repository });
    return {
      origin: `http://127.0.0.1:${gateway}`,
      place,
      responseMs,
      /** How late a response may be because the machine is busy. */
      lateMs: isWhole ? 500 : 2_000,
      /** Waits for the duration of a fault. */
      hold: (ms: number): Promise<void> => delay(isWhole ? ms : ms / 3),
      redis,
      postgres,
      /** Directories on small disks that a fault can fill. */
      disks: { database: directory, home: place.home },
      /** Undefined if Prometheus is not installed. */
      prometheus,
      pidOf: (part: Part) => partOf(part).pid(),
      /** The process ids of the gateway's workers. */
      workers: () => childrenOf(partOf('gateway').pid()),
      /**
       * Ends the part, by default with SIGKILL, and starts it again after a second, as `npm start` does. Resolves when
       * it accepts connections.
       */
      async restart(name: Part, end: (pid: number) => unknown = kill, changes?: Changes): Promise<void> {
        const part = partOf(name);
        await end(part.pid());
        await part.ended();
        await delay(restartAfterMs);
        part.start(changes);
        await accepts(ports[name]);
      },
      countersign: (...args: readonly string[]) => run('gateway/bin/countersign.js', [...args, '--config', configFile]),
      countersignAuth: (...args: readonly string[]) => run('auth-service/bin/countersign-auth.js', args),
      /** Resolves when every part is ready and nothing is missing. */
      ready: () => Promise.all(started.map((part) => part.ready())),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const kill = (pid: number) => process.kill(pid, 'SIGKILL');

/** Writes the shipped gateway.yaml without the pages of web/ and the demonstration, whose servers do not run. */
function adapt(config: GatewayYaml, responseMs: number): void {
  delete config.upstreams.web;
  config.routes = config.routes.filter(({ upstream }) => upstream !== 'web' && upstream !== 'echo');
  for (const upstream of Object.values(config.upstreams)) upstream.timeouts = { response: `${responseMs}ms` };
  for (const { revocations } of config.issuers) revocations.maxStaleness = '5s';
}

const accepts = (port: number): Promise<void> =>
  eventually(async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  }, 60_000);

/** Stops processes as if they hung, and continues them afterwards. */
export async function hang(pids: readonly number[], during: () => Promise<unknown>): Promise<void> {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  await during();
  for (const pid of pids) process.kill(pid, 'SIGCONT');
}

/** Returns the output of a command. @throws Error with it if the command failed. */
export async function succeeds(command: StartedProcess): Promise<string> {
  if ((await command.exited) !== 0) throw new Error(command.output());
  return command.output();
}
