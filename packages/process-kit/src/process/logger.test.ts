import { expect, test } from '@jest/globals';
import { createLogger } from './logger.ts';

function logged(fields: object, message = 'x'): string {
  const lines: string[] = [];
  createLogger('test', 'info', { write: (line: string) => void lines.push(line) }).info(fields, message);
  return lines.join('');
}

test.each([
  ['at the top level', { password: 'canary' }],
  ['in detail', { detail: { refresh_token: 'canary' } }],
  ['in a header', { headers: { authorization: 'Bearer canary', 'set-cookie': 'canary' } }],
  [
    'in a command to Redis',
    { err: Object.assign(new Error('x'), { command: { name: 'hello', args: ['3', 'AUTH', 'canary'] } }) },
  ],
  ['on an error', { err: Object.assign(new Error('x'), { token: 'canary' }) }],
])('redacts a secret %s', (_where, fields) => {
  expect(logged(fields)).not.toContain('canary');
  expect(logged(fields)).toContain('[redacted]');
});

test('escapes client input and keeps it on one line', () => {
  const line = logged({ path: '/a\r\n{"level":60}\u001b[2J' });
  expect(line.trimEnd().split('\n')).toHaveLength(1);
  expect(line).not.toContain('\u001b');
});
