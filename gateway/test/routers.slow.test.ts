import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isInstalled } from '@countersign/testing';
import { afterAll, describe, expect, test } from '@jest/globals';
import { compare, startGo, startNode, startServer } from './routers/compare.ts';
import { expectDocumented, page } from './routers/documented.ts';
import { spellings } from './routers/spellings.ts';

const python = process.env.VERIFIER_PYTHON ?? '';
const withPython = (...args: string[]) =>
  startServer(python, (port) => ['-m', ...args.map((arg) => arg.replace('PORT', port))]);
const gunicorn = (app: string) => () => withPython('gunicorn', '--bind', '127.0.0.1:PORT', '--log-level', 'error', app);
const uvicorn = (app: string) => () => withPython('uvicorn', '--port', 'PORT', '--log-level', 'error', app);

test('the page names the number of spellings', () => {
  expect(page).toContain(`A test sends ${spellings.length} spellings`);
});

describe('no request crosses to another route of', () => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-routers-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  const routers = [
    ['Express, strict', () => startNode('express.js', { STRICT: '1' })],
    ['Express', () => startNode('express.js')],
    ['Nest', () => startNode('nest.js')],
    ['Fastify', () => startNode('fastify.js')],
    ['Hono', () => startNode('hono.js')],
    ...(isInstalled('go') ? [['net/http', () => startGo(directory)] as const] : []),
    ...(python === ''
      ? []
      : ([
          ['Django', gunicorn('django_app:application')],
          ['Flask', gunicorn('flask_app:app')],
          ['FastAPI', uvicorn('fastapi_app:app')],
        ] as const)),
  ] as const;

  test.each(routers)('%s', async (name, start) => {
    const comparison = await compare(await start());
    expect(comparison.crossed).toEqual([]);
    expectDocumented(name, comparison);
  });
});
