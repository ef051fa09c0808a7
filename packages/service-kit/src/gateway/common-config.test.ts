import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, port, readConfig } from '@countersign/process-kit';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { commonConfig, gatewayKeysUrl } from './common-config.ts';

const schema = z.object({ ...commonConfig, USERS_PORT: port(8082), PEPPER: z.string().min(3) });

test('uses the default when a variable is unset or empty', () => {
  const config = readConfig(schema, { PEPPER: 'abc', USERS_PORT: '', UNRELATED: 'x' });
  expect(config).toMatchObject({ USERS_PORT: 8082, HOST: '127.0.0.1', LOG_LEVEL: 'info', PEPPER: 'abc' });
  expect(config).not.toHaveProperty('UNRELATED');
});

test('reports every problem at once, without values', () => {
  const problems = problemsOf({ USERS_PORT: '70000', LOG_LEVEL: 'loud-secret' });
  expect(problems).toHaveLength(3);
  expect(problems.join('\n')).toMatch(/USERS_PORT: .*\n?.*/);
  expect(problems).toContain('PEPPER: is required');
  expect(problems.join('\n')).not.toContain('loud-secret');
});

test.each([
  ...['abc', '-1', '70000', '1e3', '0x10', ' 80', '1.5', 'Infinity'].map((value) => [
    'USERS_PORT',
    value,
    'must be a port from 0 to 65535',
  ]),
  ['DRAIN_DELAY_MS', '-1', 'must be a number of milliseconds from 0 to 600000'],
  ['LOG_LEVEL', 'loud', 'must be trace, debug, info, warn, error, fatal or silent'],
  ['REPLAY_WITHOUT_REDIS', '', undefined],
  ['REPLAY_WITHOUT_REDIS', 'yes', 'must be reads, refuse or memory'],
  ['GATEWAY_KEYS_URL', 'http://', 'must be a URL'],
  ['PEPPER', 'ab', 'must have at least 3 characters'],
])('reports the allowed values of %s for the value %j', (name = '', value = '', allowed = undefined) => {
  expect(problemsOf({ PEPPER: 'abc', [name]: value })).toEqual(allowed === undefined ? [] : [`${name}: ${allowed}`]);
});

test('reads a secret from NAME_FILE, and refuses both variables or an unreadable file', () => {
  const home = mkdtempSync(join(tmpdir(), 'config-'));
  const file = join(home, 'pepper');
  writeFileSync(file, 'from the file\n');
  expect(readConfig(schema, { PEPPER_FILE: file }).PEPPER).toBe('from the file');
  expect(problemsOf({ PEPPER_FILE: file, PEPPER: 'too' })).toEqual(['PEPPER and PEPPER_FILE are both set: set one']);
  expect(problemsOf({ PEPPER_FILE: `${file}-gone` })).toEqual([`PEPPER_FILE: ${file}-gone cannot be read (ENOENT)`]);
  rmSync(home, { recursive: true });
});

test('builds the URL of the published gateway keys', () => {
  expect(gatewayKeysUrl(readConfig(schema, { PEPPER: 'abc' }))).toBe('http://127.0.0.1:8090/.well-known/jwks.json');
  expect(gatewayKeysUrl({ GATEWAY_KEYS_URL: 'https://gw/keys', GATEWAY_INTERNAL_PORT: 1 })).toBe('https://gw/keys');
});

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(schema, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
