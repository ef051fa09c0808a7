import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { transformSync } from '@swc/core';
import { type Check, checks, type Library } from './vector-checks.ts';

export const src = resolve(import.meta.dirname, '../src');
const jwksIndex = '../../jwks/src/index.ts';

const requireNode = createRequire(import.meta.url);
export const compile = (source: string) =>
  bounded(
    transformSync(source, { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'commonjs' } })
      .code,
  );
/** Makes a mutant that loops forever throw. */
const bounded = (code: string) => code.replaceAll('for(;;)', 'for(;tick();)').replaceAll('while(', 'while(tick() && ');
let ticks = 0;
function tick(): true {
  ticks += 1;
  if (ticks > 100_000) throw new Error('endless loop');
  return true;
}
/** A mutant may loop 100,000 times from here on. */
export const resetTicks = (): void => {
  ticks = 0;
};
const compiled = new Map<string, string>();

/** Loads the library with compiled files instead of its own. */
export function load(replaced: Record<string, string>): Library {
  const modules = new Map<string, { exports: Record<string, unknown> }>();
  function run(file: string): Record<string, unknown> {
    const known = modules.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    modules.set(file, module);
    let code = replaced[file] ?? compiled.get(file);
    if (code === undefined) {
      code = compile(readFileSync(resolve(src, file), 'utf8'));
      compiled.set(file, code);
    }
    const requireIn = (name: string) =>
      name.startsWith('.') || name === '@countersign/jwks'
        ? run(name.startsWith('.') ? join(dirname(file), name) : jwksIndex)
        : requireNode(name);
    new Function('exports', 'require', 'module', 'tick', code)(module.exports, requireIn, module, tick);
    return module.exports;
  }
  const parts = ['index.ts', 'verify/exempt.ts', 'adapters/node-request.ts', 'adapters/problem.ts'];
  const { allowPublishedKeys } = run('keys/published-keys.ts') as { allowPublishedKeys(): void };
  allowPublishedKeys();
  return Object.assign({}, ...parts.map(run)) as Library;
}

/**
 * Checks that found a recent mutant run first, because few vectors find most mutants. Initially, the newest run first.
 */
const order: Check[] = checks.toReversed();

/** Whether any vector distinguishes this library from the correct one. */
export async function isFaulty(library: Library): Promise<boolean> {
  for (const [index, check] of order.entries()) {
    resetTicks();
    if (await check.isPassedBy(library)) continue;
    order.splice(index, 1);
    order.unshift(check);
    return true;
  }
  return false;
}

/**
 * The same for a library with these sources in place of its own. A library that does not start, or throws another
 * error, counts as detected.
 */
export async function isFound(replaced: Readonly<Record<string, string>>): Promise<boolean> {
  try {
    return await isFaulty(
      load(Object.fromEntries(Object.entries(replaced).map(([file, source]) => [file, compile(source)]))),
    );
  } catch {
    return true;
  }
}
