import { readFileSync, statSync } from 'node:fs';
import { StartupError } from '@countersign/service-kit';

/**
 * Reads a file with a private key.
 *
 * @throws StartupError when it cannot be read, or when others may read it.
 */
export function readSecretFile(path: string): string {
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartupError(`${path}: cannot be read (${codeOf(error)})`, { cause: error });
  }
  if ((mode & 0o077) !== 0) {
    throw new StartupError(`${path}: others may read it (mode ${(mode & 0o777).toString(8)}). Run chmod 600 on it`);
  }
  return text;
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'error';
}
