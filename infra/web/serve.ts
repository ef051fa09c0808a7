import { buildIfNeeded } from './web-package.ts';

// A process of `npm start`: builds web/ unless it is built, and serves it.

try {
  await buildIfNeeded();
} catch (error) {
  // Without a registry there are no pages, and everything else works.
  process.stderr.write(`web/ could not be built, so /app/ answers 503: ${(error as Error).message}\n`);
}
// The launcher may have ended meanwhile.
if (process.connected === false) process.exit(0);
await import('../../web/server/main.ts');
