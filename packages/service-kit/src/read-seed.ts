import { readFileSync } from 'node:fs';
import { StartupError } from '@countersign/process-kit';
import { z } from 'zod';

/** Reads the file that SEED_FILE names. @throws StartupError if it cannot be read, or does not match the schema. */
export function readSeedFile<Schema extends z.ZodType>(path: string, schema: Schema): z.output<Schema> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new StartupError(`SEED_FILE: cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  throw new StartupError(`SEED_FILE: ${path} does not have the expected format:\n${z.prettifyError(parsed.error)}`);
}
