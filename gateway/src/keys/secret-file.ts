import { readFileSync, statSync } from 'node:fs';
import { whyNotPrivate } from '@countersign/identity';
import { StartupError } from '@countersign/service-kit';

/**
 * Reads a file with a private key.
 *
 * @throws StartupError when it cannot be read, or when others may read it: see `whyNotPrivate`.
 */
export function readSecretFile(path: string): string {
  let text: string;
  let open: string | undefined;
  try {
    open = whyNotPrivate(statSync(path));
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartupError(`${path}: cannot be read (${codeOf(error)})`, { cause: error });
  }
  if (open !== undefined) throw new StartupError(`${path}: ${open}`);
  return text;
}

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'error';
}
