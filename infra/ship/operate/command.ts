import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { composePlace, serverPlace } from './place.ts';

/** Runs one of the commands. A failure is one line on standard error, and exit code 1. */
export async function runCommand(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${name}: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}

/** Resolves a path where npm was called, because npm changes the working directory. */
export const absolute = (path: string): string => resolve(process.env.INIT_CWD ?? '.', path);

/** Reads the arguments and variables of `npm run backup` and `npm run restore`. */
export function readCommand() {
  const flag = { type: 'boolean', default: false } as const;
  const options = { compose: flag, replace: flag, keys: { type: 'string', multiple: true } } as const;
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const [directory] = positionals;
  const { DATABASE_URL, COUNTERSIGN_HOME = '.countersign', DATABASE_PREFIX = 'countersign' } = process.env;
  if (directory === undefined || positionals.length > 1) throw new Error('name one directory');
  if (!values.compose && !DATABASE_URL) throw new Error('use --compose, or set DATABASE_URL and COUNTERSIGN_HOME');
  return {
    directory: absolute(directory),
    place: values.compose
      ? composePlace(DATABASE_PREFIX)
      : serverPlace(DATABASE_PREFIX, DATABASE_URL ?? '', resolve(COUNTERSIGN_HOME)),
    /** Absolute paths of further keys to back up: files and directories. */
    keys: (values.keys ?? []).map(absolute),
    /** Whether a restore can replace data. */
    replace: values.replace,
  };
}
