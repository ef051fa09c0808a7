import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import type { GatewayConfig } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { parseWorkerCount } from '../workers/worker-count.ts';
import type { Terminal } from './terminal.ts';

type Value = string | boolean | undefined;
export type Values = Readonly<Record<string, Value | readonly (string | boolean)[]>>;

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

export const workersOption = {
  parse: { workers: { type: 'string', short: 'w' } },
  help: ['-w, --workers N', 'processes that share the work; `all`: one for each core. 1 if not given'],
} as const;

export function workersOf(values: Values): number {
  const given = text(values.workers);
  const count = given === undefined ? 1 : parseWorkerCount(given);
  if (count === undefined) throw new UsageError('--workers: a number from 1 to 256, or `all`');
  return count;
}

export function text(value: Values[string]): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Of an option that may be given again. */
export function list(value: Values[string]): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
