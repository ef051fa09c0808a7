#!/usr/bin/env -S node --conditions=source
// From source, which Node runs by stripping types. A container that holds a build only runs `node dist/main.js`.
if (process.features.typescript) {
  await import('../src/main.ts');
} else {
  process.stderr.write(
    `countersign: this is Node.js ${process.version}; 22.18 or later is needed, and npx finds the project's own\n`,
  );
  process.exitCode = 1;
}
