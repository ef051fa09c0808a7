import { runInWeb } from '../run/web-package.ts';

// For `npm run build:web` and `npm run types`: web/ has its own lock file, so that `npm ci` does not install its
// dependencies.

const [script] = process.argv.slice(2);
if (script !== 'build' && script !== 'types') throw new Error('usage: node infra/tools/in-web.ts build|types');
await runInWeb(script);
