import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';

const read = (file: string) => readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8');

/** `GET /v1/users/:`, whatever a parameter is called. */
const callOf = (method: string, path: string) => `${method} ${path.replaceAll(/:\w+|\{\w+\}/g, ':')}`;

const sample = parse(read('infra/gateway.yaml')) as { routes: { path: string; methods: string[] }[] };
const served = sample.routes.flatMap(({ path, methods }) => methods.map((method) => callOf(method, path)));

const inTable = (file: string) =>
  [...read(file).matchAll(/^\| (GET|POST|PUT|PATCH|DELETE) (\/[^\s,;]+)/gm)].map(([, method = '', path = '']) =>
    callOf(method, path),
  );

const described = Object.entries(
  JSON.parse(read('docs/openapi/countersign.json')).paths as Record<string, object>,
).flatMap(([path, operations]) => Object.keys(operations).map((method) => callOf(method.toUpperCase(), path)));

// The history of a complaint once had no route: the service and its README had it, and clients got 404.
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
