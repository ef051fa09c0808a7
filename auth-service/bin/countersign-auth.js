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
    `countersign-auth: this is Node.js ${process.version}; a clone needs 22.18 or later, and npx finds the project's own\n`,
  );
  process.exitCode = 1;
}
