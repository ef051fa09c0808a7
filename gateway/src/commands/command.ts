import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { GatewayConfig } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Terminal } from './terminal.ts';

export type Values = Readonly<Record<string, string | boolean | undefined>>;

/** Wrongly called: the message and a pointer to the help, exit code 2. */
export class UsageError extends Error {}

export type Command = Readonly<{
  name: string;
  /** What stands behind the name: `METHOD PATH [options]`. */
  usage: string;
  /** One line. */
  summary: string;
  /** How each option reads in the help. */
  options: readonly (readonly [flag: string, meaning: string])[];
  parse: ParseArgsOptionsConfig;
  run(terminal: Terminal, values: Values, positionals: readonly string[]): Promise<number> | number;
}>;

export const configOption = {
  parse: { config: { type: 'string', short: 'c' } },
  help: ['-c, --config FILE', 'the configuration; gateway.yaml in this directory if not given'],
} as const;

export function parseCommandLine(command: Command, args: readonly string[]) {
  const options = { ...command.parse, help: { type: 'boolean', short: 'h' } } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    // node's own sentences name the option and what is wrong with it.
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The file a command is about: `--config`, or the one argument where a command takes no others. */
export function configFile(values: Values, positionals: readonly string[]): string {
  const [positional, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`one file at a time: ${more.join(' ')}`);
  const option = text(values.config);
  if (option !== undefined && positional !== undefined) throw new UsageError('the file is named twice');
  return option ?? positional ?? 'gateway.yaml';
}

/** @throws ConfigError with every problem of the file. */
export function loadNamed(terminal: Terminal, values: Values, positionals: readonly string[]): GatewayConfig {
  return loadConfig(configFile(values, positionals), terminal.env);
}

export function text(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
