#!/usr/bin/env -S node --conditions=source
// From source, which Node runs by stripping types.
if (process.features.typescript) {
  const { runOperatorCli } = await import('../src/operator/cli.ts');
  process.exitCode = await runOperatorCli(process.argv.slice(2));
} else {
  process.stderr.write(
    `countersign-auth: this is Node.js ${process.version}; 24 is needed, and npx finds the project's own\n`,
  );
  process.exitCode = 1;
}
