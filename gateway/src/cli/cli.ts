import { ConfigError, StartupError } from '@countersign/process-kit';
import { z } from 'zod';
import { editorSchema, referenceTable } from '../config/schema/json-schema.ts';
import { version } from '../config/version.ts';
import { diffReport } from '../diff/report-schema.ts';
import { check } from './check.ts';
import { type Command, helpOption, parseCommandLine, type Terminal, UsageError } from './command.ts';
import { conformance } from './conformance.ts';
import { diff } from './diff-command.ts';
import { explain } from './explain-command.ts';
import { init } from './init.ts';
import { integrate } from './integrate.ts';
import { keys } from './keys.ts';
import { replay } from './replay-command.ts';
import { revoke } from './revoke.ts';
import { serve } from './serve.ts';
import { test } from './test-command.ts';
import { token } from './token.ts';

const schema: Command = {
  name: 'schema',
  usage: '[diff]',
  summary: 'print the JSON Schema of the configuration, for editors, or of the output of `diff --json`',
  options: [['--table', 'print a Markdown table of every key instead']],
  run(terminal, values, [subject, ...more]) {
    if (more.length > 0 || (subject !== undefined && subject !== 'diff'))
      throw new UsageError('only `diff` is allowed');
    const described = subject === undefined ? editorSchema() : z.toJSONSchema(diffReport);
    terminal.out(values.table === true ? referenceTable() : JSON.stringify(described, null, 2));
    return 0;
  },
};

const commands: readonly Command[] = [
  init,
  serve,
  check,
  diff,
  test,
  explain,
  replay,
  token,
  revoke,
  schema,
  keys,
  integrate,
  conformance,
];

/**
 * Runs one command line.
 *
 * @param args The arguments after `countersign`.
 * @returns The exit code: 0 for success, 1 for a problem that was shown, 2 for an invalid command line, 3 if `revoke` reached no gateway.
 */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    terminal.out(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    terminal.out(version());
    return 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    terminal.err(`countersign: unknown command "${name}"; known: ${commands.map((known) => known.name).join(', ')}`);
    return 2;
  }
  return runCommand(command, rest, terminal);
}

async function runCommand(command: Command, args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { values, positionals } = parseCommandLine(command, args);
    if (values.help === true) {
      terminal.out(helpOf(command));
      return 0;
    }
    return await command.run(terminal, values, positionals);
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.err(`countersign ${command.name}: ${error.message}\nHelp: countersign ${command.name} --help`);
      return 2;
    }
    if (error instanceof ConfigError) for (const problem of error.problems) terminal.err(problem);
    else if (error instanceof StartupError) terminal.err(`countersign ${command.name}: ${error.message}`);
    else throw error;
    return 1;
  }
}

/** The text of `countersign --help`. `npm run docs` writes it into the gateway's README. */
export function overview(): string {
  const width = Math.max(...commands.map((command) => usageOf(command).length));
  const lines = commands.map((command) => `  ${usageOf(command).padEnd(width)}  ${command.summary}`);
  return [
    'Usage: countersign COMMAND [options]',
    '',
    ...lines,
    '',
    'Run `countersign COMMAND --help` for its options, and `countersign --version` for the version.',
  ].join('\n');
}

function helpOf(command: Command): string {
  const options = [...command.options, helpOption];
  const width = Math.max(...options.map(([flag]) => flag.length));
  return [
    `Usage: countersign ${usageOf(command)}`,
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    '',
    ...options.map(([flag, meaning]) => `  ${flag.padEnd(width)}  ${meaning}`),
  ].join('\n');
}

const usageOf = (command: Command) => `${command.name} ${command.usage}`.trim();
