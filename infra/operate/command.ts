import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { composePlace, type Place, serverPlace } from './place.ts';

export type Command = Readonly<{
  /** The absolute path of the backup directory. */
  directory: string;
  place: Place;
  /** Whether a restore can replace data. */
  replace: boolean;
}>;

/** Runs `npm run backup` or `npm run restore`. A failure is one line on standard error, and exit code 1. */
export async function runCommand(name: string, work: (command: Command) => Promise<void>): Promise<void> {
  try {
    await work(readCommand());
  } catch (error) {
    process.stderr.write(`${name}: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}

function readCommand(): Command {
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { compose: flag, replace: flag } });
  const [directory] = positionals;
  const { DATABASE_URL, COUNTERSIGN_HOME = '.countersign', DATABASE_PREFIX = 'countersign' } = process.env;
  if (directory === undefined || positionals.length > 1) throw new Error('name one directory');
  if (!values.compose && !DATABASE_URL) throw new Error('use --compose, or set DATABASE_URL and COUNTERSIGN_HOME');
  const place = values.compose
    ? composePlace(DATABASE_PREFIX)
    : serverPlace(DATABASE_PREFIX, DATABASE_URL ?? '', resolve(COUNTERSIGN_HOME));
  // npm changes the working directory, and passes the one in which it was called.
  return { directory: resolve(process.env.INIT_CWD ?? '.', directory), place, replace: values.replace };
}
