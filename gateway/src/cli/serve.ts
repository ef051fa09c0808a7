import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import {
  createLogger,
  type Environment,
  logText,
  type Running,
  runProcess,
  StartupError,
  standardOutput,
} from '@countersign/process-kit';
import { openAdminProblem } from '../config/checks/listen-checks.ts';
import { loadConfig } from '../config/load.ts';
import { isWorker } from '../workers/worker-process.ts';
import { checkGateway } from './check.ts';
import {
  type Command,
  configFile,
  configOption,
  readServeSettings,
  type Terminal,
  text,
  UsageError,
  type Values,
  workersOf,
  workersOption,
} from './command.ts';

/**
 * A request passes through many small functions, and V8's default limits stop inlining them long before a stage ends.
 * V8 reads these flags when it optimizes a function, so `serve` sets them first.
 */
const compilerFlags = ['--max-inlined-bytecode-size=2000', '--max-inlined-bytecode-size-cumulative=4000'];

export const serve: Command = {
  name: 'serve',
  usage: '[FILE]',
  summary: 'run the gateway until SIGTERM or SIGINT; reload the file on change and on SIGHUP',
  options: [
    configOption,
    workersOption,
    ['--log-format json|text', 'the log format; default: text in a terminal, otherwise json'],
    ['--check-only', 'run `countersign check` instead of starting the gateway'],
  ],
  async run(terminal, values, positionals) {
    if (values['check-only'] === true) return checkGateway(terminal, values, positionals);
    const file = configFile(values, positionals);
    if (file === '-')
      throw new UsageError('serve cannot reload standard input: write a file, or use `countersign check -`');
    const count = workersOf(values);
    const isText = isLogText(terminal, values);
    for (const flag of compilerFlags) setFlagsFromString(flag);
    // An unhandled SIGHUP ends the process. An early one needs no reload, because the running gateway compares its files.
    let reload = () => {};
    process.on('SIGHUP', () => reload());
    await runProcess('gateway', async () => {
      refuseLenientParser(terminal.env, process.execArgv);
      const settings = readServeSettings(terminal.env);
      const config = loadConfig(file, terminal.env, { workers: count });
      const common = {
        logger: createLogger('gateway', settings.LOG_LEVEL, isText ? textOutput(terminal) : undefined),
        drainDelayMs: settings.DRAIN_DELAY_MS,
        shutdownGraceMs: settings.SHUTDOWN_GRACE_MS,
      };
      const isOneOfMany = isWorker(terminal.env);
      const openAdmin = openAdminProblem(config);
      // Workers skip this warning: only the primary process opens the admin listener.
      if (openAdmin !== undefined && !isOneOfMany) common.logger.warn(openAdmin);
      // Imported here, because without the server code the other commands start five times faster.
      if (count > 1 && !isOneOfMany) {
        const { startPrimary } = await import('../workers/primary.ts');
        const primary = await startPrimary(config, { ...common, count });
        reload = primary.reload;
        void announceReady(primary);
        return primary;
      }
      const { startGateway } = await import('../start-gateway.ts');
      const workers = isOneOfMany ? count : undefined;
      const gateway = await startGateway(config, { ...common, env: terminal.env, workers });
      reload = () => void gateway.reload();
      if (!isOneOfMany) void announceReady(gateway);
      return gateway;
    });
    return 0;
  },
};

const lenientParser = '--insecure-http-parser';

/** Refuses Node's lenient HTTP parser, which accepts requests that two parsers can read differently. */
function refuseLenientParser({ NODE_OPTIONS = '' }: Environment, execArgv: readonly string[]): void {
  if (!NODE_OPTIONS.split(/\s+/).includes(lenientParser) && !execArgv.includes(lenientParser)) return;
  throw new StartupError(`Remove ${lenientParser} from NODE_OPTIONS: it accepts ambiguous requests.`);
}

function isLogText({ isInteractive }: Terminal, values: Values): boolean {
  const format = text(values['log-format']) ?? (isInteractive ? 'text' : 'json');
  if (format !== 'text' && format !== 'json') throw new UsageError('--log-format must be json or text');
  return format === 'text';
}

const textOutput = ({ paint }: Terminal) => standardOutput('gateway', (line) => logText(line, paint));

const readyCheckEveryMs = 50;

async function announceReady({ health, logger }: Pick<Running, 'health' | 'logger'>): Promise<void> {
  let ready = await health.ready();
  while (!ready.ok) {
    if (health.draining) return;
    await delay(readyCheckEveryMs, undefined, { ref: false });
    ready = await health.ready();
  }
  const missing = Object.entries(ready.checks).filter(([, state]) => state !== 'ok');
  if (missing.length === 0) logger.info('gateway is ready');
  else logger.warn({ missing: Object.fromEntries(missing) }, 'gateway is ready, but some tokens get 503');
}
