import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { python, pythonEnv } from '../../stacks/languages.ts';
import { runConformance } from './run-conformance.ts';

const uvicorn = (app: string) => (port: number) => ['-m', 'uvicorn', '--log-level', 'error', '--port', `${port}`, app];

// Without these options, gunicorn drops headers with an underscore, and refuses lines of more than 4094 bytes.
const strict = ['--header-map', 'refuse', '--limit-request-line', '0'];
const gunicorn = (app: string) => (port: number) => [
  '-m',
  'gunicorn',
  '--threads',
  '16',
  '--bind',
  `127.0.0.1:${port}`,
  ...strict,
  app,
];

test.each([
  ['FastAPI on uvicorn', uvicorn('fastapi_echo:app')],
  ['Django on uvicorn', uvicorn('django_echo:asgi_application')],
  ['Flask on gunicorn', gunicorn('flask_echo:app')],
  ['Django on gunicorn', gunicorn('django_echo:application')],
])('conformance finds no fault in a service in %s', async (_name, args) => {
  const service = { command: python, args, cwd: join(import.meta.dirname, 'python'), env: pythonEnv };
  const { faults, summary } = await runConformance(service);
  expect([faults, summary]).toEqual([[], expect.stringContaining(' 0 faults')]);
});
