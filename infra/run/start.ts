import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describeStartError, StartupError, stopRequested } from '@countersign/process-kit';
import { createDataDirs, missingDataDirs } from './data-dirs.ts';
import { readSettings, type Settings } from './settings.ts';
import { type Child, type ChildSpec, isCompletelyReady, startChild } from './spawn.ts';
import { describeStack } from './stack.ts';

// `npm start`: runs all of Countersign on this machine, as processes from source.

const say = (line: string) => process.stdout.write(`${line}\n`);

type Demo = { password: string; tenants: { slug: string; members: { email: string; can_log_in?: boolean }[] }[] };

/** The output when everything is ready. The last line shows the address to open. */
function banner({ ports, home, seedFile, isDemo }: Settings): string {
  const url = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
  const lines: string[] = [];
  if (seedFile !== undefined) {
    const { password, tenants }: Demo = JSON.parse(readFileSync(seedFile, 'utf8'));
    lines.push(`Demo accounts, password "${password}":`);
    for (const { slug, members } of tenants) {
      const emails = members.filter(({ can_log_in: canLogIn }) => canLogIn !== false).map(({ email }) => email);
      lines.push(`  ${slug.padEnd(8)} ${emails.join('  ')}`);
    }
    lines.push('');
  }
  lines.push(`Console for operators: http://127.0.0.1:${ports.GATEWAY_ADMIN_PORT}/`, `All calls: ${url}/docs`);
  if (isDemo) lines.push(`Mails: http://127.0.0.1:${ports.WEB_PORT}/mails`);
  lines.push(`Data, keys and logs: ${home}`, 'Ctrl-C stops everything.', '', `Countersign is ready. Open ${url}/`);
  return lines.join('\n');
}

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
async function stopAll(children: readonly Child[]): Promise<void> {
  const kill = setTimeout(() => {
    for (const child of children) child.kill('SIGKILL');
  }, 20_000);
  for (const some of [children.slice(0, 1), children.slice(1)]) {
    for (const child of some) child.kill('SIGTERM');
    await Promise.all(some.map(({ ended }) => ended));
  }
  clearTimeout(kill);
}

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

const firstWaitMs = 1_000;
const longestWaitMs = 30_000;
// A process that ran this long is not crash-looping.
const steadyMs = 60_000;

/**
 * Restarts a process whenever it exits, with a growing delay while it keeps exiting. The other processes stay up: the
 * gateway verifies tokens without the auth-service, and a missing service is a 502 only on its own routes.
 *
 * @param children Has the running process at the index `at`.
 * @param startAgain Starts the same process again.
 * @param stopping Aborted when the process ends on purpose.
 */
async function keep(children: Child[], at: number, startAgain: () => Child, stopping: AbortSignal): Promise<void> {
  let waitMs = firstWaitMs;
  for (let child = children[at]; child !== undefined; child = children[at]) {
    const startedAt = performance.now();
    const how = await child.ended;
    if (stopping.aborted) return;
    if (performance.now() - startedAt > steadyMs) waitMs = firstWaitMs;
    say(`\n${howItEnded(child, how)}\n\nIt restarts in ${waitMs / 1000} s. The others keep running.`);
    await delay(waitMs, undefined, { signal: stopping }).catch(() => {});
    if (stopping.aborted) return;
    waitMs = Math.min(waitMs * 2, longestWaitMs);
    children[at] = startAgain();
  }
}

async function run(settings: Settings, interrupted: Promise<void>): Promise<void> {
  await requireFreePorts(settings.ports);
  if (!existsSync(settings.home))
    say('The first start creates keys, secrets and three databases. Later starts are faster.');
  const startedAt = performance.now();
  const created = createDataDirs(missingDataDirs(settings.home, process.env), settings.repository);
  const specs = describeStack(settings);
  say(`Starting Countersign: ${specs.map(({ name }) => name).join(', ')}`);
  const start = (spec: ChildSpec) => startChild(spec, settings.repository);
  const early = new Map(specs.filter(({ keepsData }) => keepsData !== true).map((spec) => [spec, start(spec)]));
  await Promise.race([created, interrupted]);
  const children = specs.map((spec) => early.get(spec) ?? start(spec));
  // During startup, a process that exits stops all processes.
  const ended = firstToEnd(children);
  const stopping = new AbortController();
  const deadline = startedAt + settings.startTimeoutMs;
  const ready = Promise.all(children.map((child) => untilReady(child, startedAt, deadline, stopping.signal)));
  try {
    const outcome = await Promise.race([ready, ended, interrupted]);
    if (outcome !== undefined) {
      for (const [at, spec] of specs.entries()) void keep(children, at, () => start(spec), stopping.signal);
      say(`\n${banner(settings)}`);
      await interrupted;
    }
    say('\nStopping …');
  } finally {
    // From here on, processes exit only because of the shutdown.
    ended.catch(() => {});
    ready.catch(() => {});
    stopping.abort();
    await stopAll(children);
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
async function requireFreePorts(ports: Settings['ports']): Promise<void> {
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
