import { runCli } from './commands/cli.ts';
import { processTerminal } from './commands/terminal.ts';

process.exitCode = await runCli(process.argv.slice(2), processTerminal(process.env));
