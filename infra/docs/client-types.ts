import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

const program = resolve(import.meta.dirname, '../../packages/client-types/scripts/print-types.ts');

/** The types of packages/client, by a process of the workspace that has the generator and its TypeScript. */
export function clientTypes(document: object): string {
  return execFileSync(process.execPath, [program], { input: JSON.stringify(document), encoding: 'utf8' });
}
