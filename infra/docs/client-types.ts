import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { installTools } from '@countersign/testing';

const directory = resolve(import.meta.dirname, '../client-types');

/** Generates the types for packages/client in a separate package, because the generator needs TypeScript 5. */
export function clientTypes(document: object): string {
  installTools(directory);
  return execFileSync(process.execPath, [resolve(directory, 'print-types.ts')], {
    input: JSON.stringify(document),
    encoding: 'utf8',
  });
}
