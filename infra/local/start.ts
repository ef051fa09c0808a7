import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describeStartError, StartupError, stopRequested } from '@countersign/service-kit';
import { banner } from './banner.ts';
import { type Child, type ChildSpec, isCompletelyReady, startChild } from './child.ts';
import { createDataDirs, missingDataDirs } from './data-dirs.ts';
import { keep, type Running } from './keep.ts';
import { type Ports, readSettings, type Settings } from './settings.ts';
import { describeStack } from './stack.ts';

// `npm start`: runs all of Countersign on this machine, as five processes from source.

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Rejects with a message if a process ends unexpectedly. */
function firstToEnd(children: readonly Child[]): Promise<never> {
  return Promise.race(
    children.map(async (child) => {
      throw new StartupError(howItEnded(child, await child.ended));
    }),
  );
}

const howItEnded = (child: Child, how: string): string =>
  `${child.name} exited (${how}). Its last lines:\n\n${indent(child.lastLines())}\n\nMore in ${child.logFile}`;

async function untilReady(child: Child, startedAt: number, deadline: number, given: AbortSignal): Promise<void> {
  for (;;) {
    const signal = AbortSignal.any([given, AbortSignal.timeout(2_000)]);
    const isReady = await isCompletelyReady(child.readyUrl, signal);
    if (given.aborted) return;
    if (isReady) break;
    if (performance.now() > deadline) {
      throw new StartupError(
        `${child.name} is not ready (${child.readyUrl}). Its last lines:\n\n${indent(child.lastLines())}`,
      );
    }
    await delay(100);
  }
  say(`  ready  ${child.name.padEnd(18)} ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** Stops the gateway first, then the services, so that current requests still reach their service. */
async function stopAll(running: readonly Running[]): Promise<void> {
  const [gateway, ...services] = running;
  const kill = setTimeout(() => {
    for (const one of running) one.kill();
  }, 20_000);
  await gateway?.stop();
  await Promise.all(services.map((service) => service.stop()));
  clearTimeout(kill);
}

const sayAgain = (how: string, child: Child, waitMs: number) =>
  say(`\n${howItEnded(child, how)}\n\nIt restarts in ${waitMs / 1000} s. The others keep running.`);

/** During startup, a process that exits stops all processes. */
const unrestarted = ({ ended, stop, kill }: Child): Running => ({
  async stop() {
    stop();
    await ended;
  },
  kill,
});

const checkLauncherEveryMs = 500;

/** npm starts this file through a shell, which does not pass on SIGTERM. */
function launcherEnded(): Promise<void> {
  const { ppid } = process;
  return new Promise((resolve) => {
    const check = () => {
      if (process.ppid !== ppid) resolve();
    };
    setInterval(check, checkLauncherEveryMs).unref();
  });
}

async function run(settings: Settings, interrupted: Promise<void>): Promise<void> {
  await requireFreePorts(settings.ports);
  say('Starting Countersign: gateway, auth-service, users-service, complaint-service, web');
  if (!existsSync(settings.home))
    say('The first start creates keys, secrets and three databases. Later starts are faster.');
  const startedAt = performance.now();
  const created = createDataDirs(missingDataDirs(settings.home, process.env), settings.repository);
  const specs = await describeStack(settings);
  const start = (spec: ChildSpec) => startChild(spec, settings.repository);
  const early = new Map(specs.filter(({ keepsData }) => keepsData !== true).map((spec) => [spec, start(spec)]));
  await Promise.race([created, interrupted]);
  const children = specs.map((spec) => early.get(spec) ?? start(spec));
  let running = children.map(unrestarted);
  const ended = firstToEnd(children);
  const givenUp = new AbortController();
  const deadline = startedAt + settings.startTimeoutMs;
  const ready = Promise.all(children.map((child) => untilReady(child, startedAt, deadline, givenUp.signal)));
  try {
    const outcome = await Promise.race([ready, ended, interrupted]);
    if (outcome !== undefined) {
      const demo = settings.seedFile === undefined ? undefined : JSON.parse(readFileSync(settings.seedFile, 'utf8'));
      running = specs.map((spec, at) => keep(children[at] ?? start(spec), () => start(spec), sayAgain));
      say(`\n${banner(settings, demo)}`);
      await interrupted;
    }
    say('\nStopping …');
  } finally {
    // From here on, processes exit only because of the shutdown.
    ended.catch(() => {});
    ready.catch(() => {});
    givenUp.abort();
    await stopAll(running);
  }
  say('Stopped.');
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}

const interrupted = Promise.race([stopRequested(['SIGINT', 'SIGTERM', 'SIGHUP']), launcherEnded()]).then(
  () => undefined,
);

try {
  await run(readSettings(process.env), interrupted);
} catch (error) {
  process.stderr.write(`\n${describeStartError(error)}\n`);
  process.exitCode = 1;
}

/**
 * Checks every port before any process starts.
 *
 * @throws StartupError that names each taken port and the variable that moves it.
 */
export async function requireFreePorts(ports: Ports): Promise<void> {
  const taken: string[] = [];
  for (const [variable, port] of Object.entries(ports)) {
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      server.close();
      await once(server, 'close');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const reason = code === 'EADDRINUSE' ? 'is already in use' : `cannot be opened (${code})`;
      taken.push(`port ${port} ${reason}. Set ${variable} to another port`);
    }
  }
  if (taken.length > 0) throw new StartupError(taken.join('\n'));
}
