#!/usr/bin/env node
import { existsSync } from 'node:fs';
import module from 'node:module';

// An image contains a build. A clone runs from source: Node strips the types, and workspaces resolve to their sources.
const source = new URL('../src/operator/cli.ts', import.meta.url);

async function run(cli) {
  const { runOperatorCli } = await import(cli);
  process.exitCode = await runOperatorCli(process.argv.slice(2));
}

if (!existsSync(source)) {
  await run('../dist/operator/cli.js');
} else if (process.features.typescript && module.registerHooks) {
  if (!process.execArgv.includes('--conditions=source')) {
    module.registerHooks({
      resolve: (specifier, context, next) =>
        next(specifier, { ...context, conditions: ['source', ...context.conditions] }),
    });
  }
  await run(source.href);
} else {
  process.stderr.write(
    `countersign-auth: needs Node.js 22 (from 22.19), 24, or 26 and later, but this is ${process.version}. In a clone, npx runs the project's own\n`,
  );
  process.exitCode = 1;
}
