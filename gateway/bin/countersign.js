#!/usr/bin/env node
import { existsSync } from 'node:fs';
import module from 'node:module';

// The published package contains a build. A clone runs from source: Node strips the types, and workspaces resolve to their sources.
const source = new URL('../src/main.ts', import.meta.url);

const isBuilt = !existsSync(source);

if (!module.registerHooks || !(isBuilt || process.features.typescript)) {
  process.stderr.write(
    `countersign: needs Node.js 22 (from 22.19), 24, or 26 and later, but this is ${process.version}. In a clone, npx runs the project's own\n`,
  );
  process.exitCode = 1;
} else if (isBuilt) {
  await import('../dist/main.js');
} else {
  if (!process.execArgv.includes('--conditions=source')) {
    module.registerHooks({
      resolve: (specifier, context, next) =>
        next(specifier, { ...context, conditions: ['source', ...context.conditions] }),
    });
  }
  await import(source.href);
}
