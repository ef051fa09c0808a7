import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { mergedApi, serviceApis } from './pages.ts';

const root = resolve(import.meta.dirname, '../../..');
const files = [...Object.keys(serviceApis), 'countersign'].map((name) => `docs/openapi/${name}.json`);

type Schema = Readonly<{ examples?: unknown; default?: unknown; enum?: unknown; type?: string; properties?: object }>;
type Operation = Readonly<{
  operationId: string;
  requestBody?: Readonly<{ content: Record<string, Readonly<{ schema: Schema }>> }>;
}>;

const operationsOf = (file: string): Operation[] => {
  const { paths } = JSON.parse(readFileSync(resolve(root, file), 'utf8')) as { paths: Record<string, object> };
  return Object.values(paths).flatMap((path) => Object.values(path) as Operation[]);
};

test('Redocly finds no problem in the descriptions', async () => {
  const redocly = createRequire(import.meta.url).resolve('@redocly/cli/bin/cli.js');
  const config = resolve(import.meta.dirname, 'redocly.yaml');
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const lint = promisify(execFile)(process.execPath, [redocly, 'lint', '--config', config, ...files], {
    cwd: root,
    env,
  });
  // Exits with 1 for an error or a warning, which it prints.
  const { stdout, stderr } = await lint.catch((error: { stdout: string; stderr: string }) => error);
  expect(stdout).toBe('');
  expect(stderr).toContain('Your API descriptions are valid.');
});

test('each field of a JSON body has an example', () => {
  const hasExample = ({ examples, default: usual, enum: values, type }: Schema) =>
    examples !== undefined || usual !== undefined || values !== undefined || type === 'boolean';
  const bare = operationsOf('docs/openapi/countersign.json').flatMap(({ operationId, requestBody }) => {
    const schema = requestBody?.content['application/json']?.schema ?? {};
    const fields = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
    if (schema.examples !== undefined) return [];
    return fields.filter(([, field]) => !hasExample(field)).map(([name]) => `${operationId}: ${name}`);
  });
  expect(bare).toEqual([]);
});

test('the merged description has every operation for clients, and none for services', () => {
  const all = Object.values(serviceApis).flatMap(({ endpoints }) => endpoints);
  const merged = operationsOf('docs/openapi/countersign.json').map(({ operationId }) => operationId);
  const missing = all.filter(({ operationId }) => !merged.includes(operationId));
  expect(missing.map(({ path }) => path.split('/')[1])).toEqual(missing.map(() => 'internal'));
  expect(merged).toHaveLength(all.length - missing.length);
  expect(mergedApi.endpoints.filter(({ path }) => path.startsWith('/internal'))).toEqual([]);
});
