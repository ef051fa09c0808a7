import { ConfigError } from '@countersign/service-kit';
import { loadConfig } from '../config/load.ts';
import { type Command, configFile, configOption, workersOf, workersOption } from './command.ts';

export const check: Command = {
  name: 'check',
  usage: '[FILE]',
  summary: 'read a configuration and show every problem in it',
  options: [configOption.help, workersOption.help],
  parse: { ...configOption.parse, ...workersOption.parse },
  run(terminal, values, positionals) {
    const file = configFile(values, positionals);
    const workers = workersOf(values);
    try {
      const config = loadConfig(file, terminal.env, { workers });
      const counts = [
        counted(config.routes.length, 'route'),
        counted(config.upstreams.size, 'upstream'),
        counted(config.issuers.length, 'issuer'),
        counted(config.tests.length, 'test'),
      ];
      terminal.out(`${terminal.paint('good', 'good')} ${file}: ${counts.join(', ')}`);
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) terminal.err(problem);
      terminal.err(counted(error.problems.length, 'problem'));
      return 1;
    }
  },
};

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
