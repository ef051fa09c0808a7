import { availableParallelism } from 'node:os';
import { type ParseArgsOptionsConfig, parseArgs, styleText } from 'node:util';
import { type Environment, processConfig, readConfig, whyUnreadable } from '@countersign/process-kit';
import { closest } from '@countersign/strict-yaml';
import { z } from 'zod';
import type { GatewayConfig } from '../config/config.ts';
import { readNamedFile } from '../config/files.ts';
import { loadConfig } from '../config/load.ts';

type OptionValue = string | boolean | undefined;
export type Values = Readonly<Record<string, OptionValue | readonly (string | boolean)[]>>;

/**
 * An option as `--help` shows it: `-w, --workers N`. An option whose flag names no value is boolean. `repeats` means
 * that the option may be given several times.
 */
export type Option = readonly [flag: string, meaning: string, repeats?: 'repeats'];

/** An invalid command line. The CLI shows the message and how to get help, and exits with 2. */
export class UsageError extends Error {}

export type Command = Readonly<{
  name: string;
  /** What follows the command name, such as `METHOD PATH`. */
  usage: string;
  summary: string;
  options: readonly Option[];
  run(terminal: Terminal, values: Values, positionals: readonly string[]): Promise<number> | number;
}>;

export const configOption: Option = [
  '-c, --config FILE',
  'the configuration file; default: gateway.yaml in the current directory',
];
export const withoutKeysOption: Option = [
  '--without-keys',
  'read neither variables nor the files with secrets, certificates and keys, such as in CI',
];
export const jsonOption: Option = ['--json', 'print JSON'];
export const helpOption: Option = ['-h, --help', 'show this help'];

function parsedAs([flag, , repeats]: Option): [name: string, config: ParseArgsOptionsConfig[string]] {
  const [, short, name = '', value] = /^(?:-(\w), )?--([\w-]+)( .+)?$/.exec(flag) ?? [];
  const type = value === undefined ? 'boolean' : 'string';
  return [name, { type, multiple: repeats !== undefined, ...(short !== undefined && { short }) }];
}

/** @throws UsageError for an unknown option, or for an option that lacks its value. */
export function parseCommandLine(command: Command, args: readonly string[]) {
  const options = Object.fromEntries([...command.options, helpOption].map(parsedAs));
  // Not strict, because Node's own messages explain its syntax and do not list the known options.
  const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) throw new UsageError(`unknown option ${rawName}${hintFor(name, Object.keys(options))}`);
    if (option.type === 'boolean' && value !== undefined) throw new UsageError(`${rawName} takes no value`);
    const isAnotherOption = inlineValue === false && value !== undefined && /^-./.test(value);
    if (option.type !== 'string' || (value !== undefined && !isAnotherOption)) continue;
    const advice = isAnotherOption ? `; if it begins with "-", write --${name}=VALUE` : '';
    throw new UsageError(`${rawName} needs a value${advice}`);
  }
  return { values: parsed.values as Values, positionals: parsed.positionals };
}

function hintFor(name: string, known: readonly string[]): string {
  const meant = closest(name, known);
  return meant === undefined ? `; known: ${known.map((one) => `--${one}`).join(', ')}` : `; did you mean --${meant}?`;
}

/** Returns the configuration file: `--config`, or the argument of a command that takes only a file. */
export function configFile(values: Values, positionals: readonly string[]): string {
  const [positional, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`only one file is allowed; remove ${more.join(' ')}`);
  const option = text(values.config);
  if (option !== undefined && positional !== undefined)
    throw new UsageError('give the file either as an argument or with --config, not both');
  return option ?? positional ?? 'gateway.yaml';
}

export const loadNamed = (terminal: Terminal, values: Values): GatewayConfig =>
  loadConfig(configFile(values, []), terminal.env);

export const workersOption: Option = [
  '-w, --workers N',
  'how many processes to run; `all` runs one per CPU core; default: 1',
];

const maxWorkers = 256;

export function workersOf(values: Values): number {
  const given = text(values.workers) ?? '1';
  const count = given === 'all' ? Math.min(maxWorkers, availableParallelism()) : Number(given);
  const isPlain = given === 'all' || /^[1-9]\d{0,2}$/.test(given);
  if (!isPlain || count > maxWorkers) throw new UsageError('--workers must be a number from 1 to 256, or `all`');
  return count;
}

const { LOG_LEVEL, DRAIN_DELAY_MS, SHUTDOWN_GRACE_MS } = processConfig;
const settings = z.object({ LOG_LEVEL, DRAIN_DELAY_MS, SHUTDOWN_GRACE_MS });

/** The settings that `serve` reads from the environment, apart from the variables in the configuration file. */
export const readServeSettings = (env: Environment) => readConfig(settings, env);

export function text(value: Values[string]): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** @throws UsageError if the file that an option names cannot be read. */
export function readOptionFile(option: string, file: string): Buffer {
  try {
    return readNamedFile(file);
  } catch (error) {
    throw new UsageError(`${option}: ${whyUnreadable(error)}`);
  }
}

const formats = { good: 'green', bad: 'red', quiet: 'dim', strong: 'bold' } as const;

export type Terminal = Readonly<ReturnType<typeof processTerminal>>;

/** Standard output and error. Colors only on a terminal, and never with NO_COLOR (https://no-color.org). */
export function processTerminal(env: Environment) {
  // A reader such as `head -3` may close the pipe early. That must not change the exit code.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
  const isInteractive = process.stdout.isTTY === true;
  const isColored = isInteractive && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  return {
    out: (line: string) => void process.stdout.write(`${line}\n`),
    err: (line: string) => void process.stderr.write(`${line}\n`),
    /** Colors text for `out`, if `out` is a terminal. `err` has no colors, because people redirect it to files. */
    paint: (style: keyof typeof formats, text: string): string =>
      isColored ? styleText(formats[style], text, { validateStream: false }) : text,
    isInteractive,
    env,
    nowMs: Date.now,
  };
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
