import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commonErrors, createHealth, createLogger, createMetrics } from '@countersign/process-kit';
import { createServiceApp } from '@countersign/service-kit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import request from 'supertest';
import { fileRoutes } from './files.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-web-'));
  mkdirSync(join(directory, 'assets'));
  writeFileSync(join(directory, 'index.html'), '<!doctype html><title>the page</title>');
  writeFileSync(join(directory, 'assets/index-abc.js'), 'export {};');
  writeFileSync(join(directory, 'secret.js'), 'no');
});
afterAll(() => rmSync(directory, { recursive: true }));

const serving = (files: string, consoleUrl?: string) =>
  request(
    createServiceApp({
      logger: createLogger('web', 'silent'),
      health: createHealth({}),
      metrics: createMetrics(),
      errors: commonErrors,
      identity: (_req, _res, next) => next(),
      routes: fileRoutes({ directory: files, consoleUrl }),
    }),
  );

test.each(['/app/', '/app/new', '/app/complaints/1', '/app/a/b/c'])(
  '%s serves the page with its content security policy',
  async (path) => {
    const { status, text, headers } = await serving(directory).get(path);
    expect([status, text, headers['cache-control']]).toEqual([200, expect.stringContaining('the page'), 'no-cache']);
    expect(headers['content-security-policy']).toMatch(/^default-src 'self'; img-src 'self' blob:; object-src 'none'/);
  },
);

test.each([
  ['/', 302],
  ['/app', 308],
])('%s redirects to /app/', async (path, expected) => {
  const { status, headers } = await serving(directory).get(path);
  expect([status, headers.location]).toEqual([expected, '/app/']);
});

test.each([
  ['gzip', 'gzip'],
  ['identity', undefined],
])('a client that accepts %s gets a cacheable script with Content-Encoding %s', async (accepted, encoding) => {
  const { text, headers } = await serving(directory).get('/app/assets/index-abc.js').set('accept-encoding', accepted);
  expect([text, headers['content-encoding']]).toEqual(['export {};', encoding]);
  expect([headers['cache-control'], headers.vary]).toEqual([expect.stringContaining('immutable'), 'accept-encoding']);
});

test.each(['/app/assets/gone.js', '/app/assets/..%2Fsecret.js'])('%s is not found', async (path) => {
  expect((await serving(directory).get(path)).status).toBe(404);
});

test('the settings contain the console URL only if the server has one', async () => {
  expect((await serving(directory).get('/app/config.json')).body).toEqual({});
  const { body } = await serving(directory, 'http://127.0.0.1:9090').get('/app/config.json');
  expect(body).toEqual({ console: 'http://127.0.0.1:9090' });
});

test('responds with 503 if nothing has been built', async () => {
  expect((await serving(join(directory, 'nowhere')).get('/app/')).status).toBe(503);
});
