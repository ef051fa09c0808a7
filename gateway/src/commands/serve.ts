import { commonConfig, createLogger, readConfig, runProcess } from '@countersign/service-kit';
import { z } from 'zod';
import { type Command, configOption, loadNamed } from './command.ts';

const environment = z.object({
  LOG_LEVEL: commonConfig.LOG_LEVEL,
  DRAIN_DELAY_MS: commonConfig.DRAIN_DELAY_MS,
  SHUTDOWN_GRACE_MS: commonConfig.SHUTDOWN_GRACE_MS,
});

export const serve: Command = {
  name: 'serve',
  usage: '[FILE]',
  summary: 'run the gateway until SIGTERM or SIGINT; its file is followed, SIGHUP reads it at once',
  options: [configOption.help],
  parse: configOption.parse,
  async run(terminal, values, positionals) {
    await runProcess('gateway', async () => {
      const settings = readConfig(environment, terminal.env);
      const config = loadNamed(terminal, values, positionals);
      // Here, not above: the other commands need no server, and start five times as fast without one.
      const { serveGateway } = await import('../serve.ts');
      const gateway = await serveGateway(config, {
        env: terminal.env,
        logger: createLogger('gateway', settings.LOG_LEVEL),
        drainDelayMs: settings.DRAIN_DELAY_MS,
        shutdownGraceMs: settings.SHUTDOWN_GRACE_MS,
      });
      process.on('SIGHUP', () => void gateway.reload());
      return gateway;
    });
    return 0;
  },
};
