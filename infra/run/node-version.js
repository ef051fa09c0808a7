import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

// Loaded before any other TypeScript, so that `npm start` on an unsupported Node.js exits with a clear message.
if (!process.features.typescript) {
  process.stderr.write(
    `npm start: needs Node.js 22 (from 22.19), 24, or 26 and later. This is ${process.version}. Run npm ci to install a supported one\n`,
  );
  process.exit(1);
}

const { saferNodeRelease, unsupportedNode } = await import('../../packages/process-kit/src/process/node-release.ts');

// npm puts the project's own Node.js first. One of the system can be newer, or have security fixes that this one lacks.
const own = process.versions.node;
for (const directory of (process.env.PATH ?? '').split(delimiter)) {
  if (directory === '' || directory.includes('node_modules') || process.execve === undefined) continue;
  const node = join(directory, 'node');
  const [, version] =
    /^v(\d+\.\d+\.\d+)\n$/.exec(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? '') ?? [];
  if (version === undefined) continue;
  const isFixed = saferNodeRelease(own) !== undefined && saferNodeRelease(version) === undefined;
  const isNewer = version.localeCompare(own, 'en', { numeric: true }) > 0;
  if (unsupportedNode(version) === undefined && (isFixed || isNewer))
    process.execve(node, [node, ...process.execArgv, ...process.argv.slice(1)], process.env);
  break;
}
