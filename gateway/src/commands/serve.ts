import { createLogger, runProcess } from '@countersign/service-kit';
import { loadConfig } from '../config/load.ts';
import { adminSocketOfWorker, mayClose, outlivePrimary, tellPrimary } from '../workers/worker.ts';
import { checkGateway } from './check.ts';
import { type Command, configFile, configOption, workersOf, workersOption } from './command.ts';
import { readServeSettings } from './serve-settings.ts';

export const serve: Command = {
  name: 'serve',
  usage: '[FILE]',
  summary: 'run the gateway until SIGTERM or SIGINT; its file is followed, SIGHUP reads it at once',
  options: [
    configOption.help,
    workersOption.help,
    ['--check-only', 'do what `countersign check` does, and end: nothing is started'],
  ],
  parse: { ...configOption.parse, ...workersOption.parse, 'check-only': { type: 'boolean' } },
  async run(terminal, values, positionals) {
    if (values['check-only'] === true) return checkGateway(terminal, values, positionals);
    const workers = workersOf(values);
    const hangUp = catchHangUp();
    await runProcess('gateway', async () => {
      const settings = readServeSettings(terminal.env);
      const config = loadConfig(configFile(values, positionals), terminal.env, { workers });
      const common = {
        logger: createLogger('gateway', settings.LOG_LEVEL),
        drainDelayMs: settings.DRAIN_DELAY_MS,
        shutdownGraceMs: settings.SHUTDOWN_GRACE_MS,
      };
      const adminSocket = adminSocketOfWorker(terminal.env);
      // Here, not above: the other commands need no server, and start five times as fast without one.
      if (workers > 1 && adminSocket === undefined) {
        const { servePrimary } = await import('../workers/primary.ts');
        const primary = await servePrimary(config, { ...common, workers });
        hangUp.follow(primary.reload);
        return primary;
      }
      const { serveGateway } = await import('../serve.ts');
      const worker = adminSocket === undefined ? undefined : { adminSocket, workers, mayClose };
      const gateway = await serveGateway(config, { ...common, env: terminal.env, worker });
      hangUp.follow(() => void gateway.reload());
      if (worker !== undefined) {
        outlivePrimary();
        tellPrimary({ ports: gateway.ports });
      }
      return gateway;
    });
    return 0;
  },
};

/** From the first moment on: a SIGHUP that nobody catches ends the process, and starting takes a while. One that came early is not lost. */
function catchHangUp(): Readonly<{ follow(reload: () => void): void }> {
  let isEarly = false;
  const note = () => {
    isEarly = true;
  };
  process.on('SIGHUP', note);
  return {
    follow(reload) {
      process.on('SIGHUP', reload).off('SIGHUP', note);
      if (isEarly) reload();
    },
  };
}
