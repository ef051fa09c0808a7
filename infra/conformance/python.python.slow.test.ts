import { expect, test } from '@jest/globals';
import { python, pythonEnv } from '../verifiers/python-service.ts';
import { runConformance } from './run-conformance.ts';

/** h11, the parser of uvicorn, merges equal lengths. */
const unseenByUvicorn = [
  'header_duplicated: a repeated content-length',
  'header_duplicated: a repeated content-length on a GET',
];

/** WSGI has one content-type, for which gunicorn takes the last line. */
const unseenByGunicorn = ['header_duplicated: content-type, repeated', 'header_duplicated: two content-types on a GET'];

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
  ['FastAPI on uvicorn', uvicorn('fastapi_echo:app'), unseenByUvicorn],
  ['Django on uvicorn', uvicorn('django_echo:asgi_application'), unseenByUvicorn],
  ['Flask on gunicorn', gunicorn('flask_echo:app'), unseenByGunicorn],
  ['Django on gunicorn', gunicorn('django_echo:application'), unseenByGunicorn],
])('conformance finds only known faults in a service in %s', async (_name, args, known) => {
  const service = { command: python, args, folder: 'infra/conformance/python', env: pythonEnv };
  const { faults, summary } = await runConformance(service);
  expect([faults, summary]).toEqual([known, expect.stringContaining(` ${known.length} faults`)]);
});
