import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { routeLines } from '../../../gateway/src/cli/check.ts';
import { runCli } from '../../../gateway/src/cli/cli.ts';
import { loadConfig } from '../../../gateway/src/config/load.ts';

const read = (file: string) => readFileSync(resolve(import.meta.dirname, '../../..', file), 'utf8');

/** `GET /v1/users/:`, with any parameter name. */
const callOf = (method: string, path: string) => `${method} ${path.replaceAll(/:\w+|\{\w+\}/g, ':')}`;

const file = resolve(import.meta.dirname, '../../gateway.yaml');
const sample = loadConfig(file, {});
const served = sample.routes.flatMap(({ path, methods }) => methods.map((method) => callOf(method, path)));

const inTable = (file: string) =>
  [...read(file).matchAll(/^\| (GET|POST|PUT|PATCH|DELETE) (\/[^\s,;]+)/gm)].map(([, method = '', path = '']) =>
    callOf(method, path),
  );

const described = Object.entries(
  JSON.parse(read('docs/openapi/countersign.json')).paths as Record<string, object>,
).flatMap(([path, operations]) => Object.keys(operations).map((method) => callOf(method.toUpperCase(), path)));

// The history of a complaint once had no route, so clients got 404.
test.each([
  ['users-service', inTable('users-service/README.md')],
  ['complaint-service', inTable('complaint-service/README.md')],
  ['the merged OpenAPI document', described],
])('every call that %s describes has a route in infra/gateway.yaml', (_name, calls) => {
  expect(calls.length).toBeGreaterThan(4);
  const isServed = (call: string) =>
    served.some((route) => (route.endsWith('/**') ? `${call}/`.startsWith(route.slice(0, -2)) : route === call));
  expect(calls.filter((call) => !isServed(call))).toEqual([]);
});

// Every change of permissions, limits or upstreams shows up in this table, no matter how the groups are written.
test('infra/gateway.routes.txt matches the output of `check --routes` for infra/gateway.yaml', () => {
  expect(`${routeLines(sample.routes).join('\n')}\n`).toBe(read('infra/gateway.routes.txt'));
});

test.each(['infra/gateway.yaml', 'examples/external-provider/gateway.yaml'])('%s gives no warning', (name) => {
  expect.assertions(1);
  const onWarnings = (lines: readonly string[]) => expect(lines).toEqual([]);
  loadConfig(resolve(import.meta.dirname, '../../..', name), {}, { onWarnings });
});

test('infra/gateway.tests.yaml passes', async () => {
  const lines: string[] = [];
  const add = (line: string) => void lines.push(line);
  const paint = (_style: string, text: string) => text;
  const terminal = { out: add, err: add, paint, isInteractive: false, env: {}, nowMs: Date.now };
  await runCli(['test', file, resolve(import.meta.dirname, '../../gateway.tests.yaml')], terminal);
  expect(lines.at(-1)).toMatch(/^\d{2,} passed, 0 failed$/);
});

test('the sample has at most 300 lines', () => {
  expect(read('infra/gateway.yaml').split('\n').length - 1).toBeLessThanOrEqual(300);
});
