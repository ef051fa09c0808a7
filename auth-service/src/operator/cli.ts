import { explain } from '@countersign/service-kit';
import { readOperatorSocket } from '../config.ts';
import { sendCommand } from './client.ts';
import { findCommand, usage } from './commands.ts';

/**
 * `countersign-auth`.
 *
 * @returns The exit code: 0 done, 1 refused or not reached, 2 wrongly called.
 */
export async function runOperatorCli(args: readonly string[], env = process.env): Promise<number> {
  const asksForHelp = args.length === 0 || ['help', '--help', '-h'].includes(args[0] ?? '');
  if (asksForHelp || findCommand(args) === undefined) {
    process.stderr.write(`${usage()}\n`);
    return asksForHelp && args.length > 0 ? 0 : 2;
  }
  try {
    const { ok, lines } = await sendCommand(readOperatorSocket(env), args);
    (ok ? process.stdout : process.stderr).write(`${lines.join('\n')}\n`);
    return ok ? 0 : 1;
  } catch (error) {
    process.stderr.write(`countersign-auth: ${explain(error)}\n`);
    return 1;
  }
}
