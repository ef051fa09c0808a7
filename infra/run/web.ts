import { buildIfNeeded } from './web-package.ts';

// A process of `npm start`: builds web/ if necessary, and serves it.

try {
  await buildIfNeeded();
} catch (error) {
  // web/ cannot be built without an npm registry. Everything else works.
  process.stderr.write(`web/ could not be built, so /app/ responds with 503: ${(error as Error).message}\n`);
}
// The launcher may have exited meanwhile.
if (process.connected === false) process.exit(0);
await import('../../web/server/main.ts');
