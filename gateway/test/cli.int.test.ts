import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually, freePorts, startProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createKey } from '../src/keys/key-files.ts';
import { type GatewayProcess, gatewayProcess } from './gateway-process.ts';
import { exampleHead, exampleRoutes } from './kit/example-config.ts';

const bin = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-bin-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const countersign = (...args: readonly string[]) =>
  startProcess({ args: [bin, ...args], cwd: directory, env: { LOG_LEVEL: 'info', DRAIN_DELAY_MS: '0' } });

async function run(...args: readonly string[]) {
  const running = countersign(...args);
  return { code: await running.exited, output: running.output() };
}

const writeKey = () => createKey('ed25519', join(directory, 'gateway-keys'), Math.floor(Date.now() / 1000) - 60);
const write = (text: string) => writeFileSync(join(directory, 'gateway.yaml'), text);
const withPorts = ([publicPort, admin, internal]: readonly number[]) =>
  `${exampleHead}${exampleRoutes}listen: { public: "127.0.0.1:${publicPort}", admin: "127.0.0.1:${admin}", internal: "127.0.0.1:${internal}" }\n`;

describe('the countersign command', () => {
  test('exits with 0, 1 or 2, and prints no colors into a pipe', async () => {
    write(exampleHead + exampleRoutes);
    writeKey();
    const good = await run('check');
    expect(good).toEqual({ code: 0, output: 'good gateway.yaml: 1 route, 1 upstream, 1 issuer, 0 tests\n' });
    write('routes: [\n');
    const bad = await run('check');
    expect(bad.code).toBe(1);
    expect(bad.output).toMatch(/^gateway\.yaml:1:9: not YAML: this "\[" is not closed/);
    expect((await run('chekc')).code).toBe(2);
  });

  test('checks and tests a file from standard input, with paths relative to the working directory', async () => {
    writeKey();
    const tests = 'tests: [{ request: { method: GET, path: /v1/users/me }, expect: { allowed: false } }]\n';
    write(exampleHead + exampleRoutes + tests);
    const piped = (command: string) =>
      promisify(execFile)('/bin/sh', ['-c', `'${process.execPath}' --conditions=source '${bin}' ${command}`], {
        cwd: directory,
      });
    expect(await piped('check - < gateway.yaml')).toEqual({
      stdout: 'good -: 1 route, 1 upstream, 1 issuer, 1 test\n',
      stderr: '',
    });
    const { stdout } = await piped('test --json - < gateway.yaml');
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, tests: [{ file: '-', line: 12, column: 9, passed: true }] });
  });

  test('does not fail when the reader closes the pipe', async () => {
    const pipe = `'${process.execPath}' --conditions=source '${bin}' schema | true`;
    const { stderr } = await promisify(execFile)('/bin/sh', ['-c', pipe]);
    expect(stderr).toBe('');
  });

  test('reports every problem of a bad file, with exit code 1 and no stack', async () => {
    write(`${exampleHead}routes:\n  - { name: a, path: /a, methods: [GET], upstream: users-service }\n`);
    const { code, output } = await run('serve');
    expect(code).toBe(1);
    expect(output).toBe(
      'gateway: configuration\n  gateway.yaml:11:5: routes[0]: "auth" is required: must be one of "required", "optional", "public", "service"\n',
    );
  });

  test('reports missing keys in one message, with exit code 1', async () => {
    write(exampleHead + exampleRoutes);
    const { code, output } = await run('serve');
    expect(code).toBe(1);
    expect(output).toBe(
      `gateway: ${directory}/gateway-keys: cannot be read (ENOENT). To create one, run countersign keys create --dir ${directory}/gateway-keys\n`,
    );
  });

  test("refuses to start with Node's lenient parser", async () => {
    write(exampleHead + exampleRoutes);
    const running = startProcess({
      args: [bin, 'serve'],
      cwd: directory,
      env: { NODE_OPTIONS: '--insecure-http-parser' },
    });
    expect(await running.exited).toBe(1);
    expect(running.output()).toContain(
      'gateway: Remove --insecure-http-parser from NODE_OPTIONS: it accepts ambiguous requests.\n',
    );
  });

  test('reports a second file in one message, with exit code 2 and no stack', async () => {
    const { code, output } = await run('serve', 'a.yaml', 'b.yaml');
    expect([code, output]).toEqual([
      2,
      expect.stringMatching(/^countersign serve: only one file is allowed; remove b\.yaml\n/),
    ]);
    expect(output).not.toContain('    at ');
  });

  test('reports a port in use in one message, with exit code 1', async () => {
    const ports = await freePorts(3);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(ports[0], '127.0.0.1', resolve));
    write(withPorts(ports));
    writeKey();
    const { code, output } = await run('serve');
    await new Promise((resolve) => taken.close(resolve));
    expect(code).toBe(1);
    expect(output).toContain(`gateway: public listener: 127.0.0.1:${ports[0]} is already in use\n`);
  });

  test('serves until SIGTERM, with a key that it created', async () => {
    const ports = await freePorts(3);
    write(withPorts(ports));
    expect((await run('keys', 'create')).code).toBe(0);
    const gateway = countersign('serve', '--config', 'gateway.yaml');
    await gateway.waitFor(/gateway listens/);
    const keys = await fetch(`http://127.0.0.1:${ports[2]}/.well-known/jwks.json`);
    const answer = await fetch(`http://127.0.0.1:${ports[0]}/nowhere`);
    const problem = await answer.json();
    expect(await gateway.stop()).toBe(0);
    expect(await keys.json()).toEqual({ keys: [expect.objectContaining({ kty: 'OKP', alg: 'EdDSA' })] });
    expect([answer.status, problem]).toEqual([404, expect.objectContaining({ code: 'no_route' })]);
  });

  test('watches its file, reads it immediately on SIGHUP, and keeps the last valid configuration', async () => {
    const ports = await freePorts(3);
    write(withPorts(ports));
    writeKey();
    const gateway = countersign('serve');
    await gateway.waitFor(/gateway listens/);
    const status = async () => (await fetch(`http://127.0.0.1:${ports[0]}/v1/users/you`)).status;
    expect(await status()).toBe(404);
    write(withPorts(ports).replace('/v1/users/me', '/v1/users/you'));
    await gateway.waitFor(/configuration reloaded/);
    expect(await status()).toBe(401);
    write('routes: [\n');
    process.kill(gateway.pid, 'SIGHUP');
    await gateway.waitFor(/gateway\.yaml:1:9: not YAML: .*configuration refused/);
    expect(await status()).toBe(401);
    expect(await gateway.stop()).toBe(0);
  });
});

describe('the log of countersign serve', () => {
  let gateway: GatewayProcess;
  beforeEach(async () => {
    gateway = await gatewayProcess();
  });
  afterEach(() => gateway.close());

  const text = /^\d\d:\d\d:\d\d GET \/v1\/open\/1 200 [\d.]+ ms route=open upstream=things target=\S+ request_id=\S+$/m;

  test.each([
    ['JSON in a pipe', [], /^\{"level":30,.*"path":"\/v1\/open\/1","status":200/m],
    ['JSON if asked for', ['--log-format', 'json'], /^\{"level":30,.*"path":"\/v1\/open\/1","status":200/m],
    ['text if asked for', ['--log-format', 'text'], text],
  ])('is %s', async (_how, args, expected) => {
    const running = await gateway.start(...args);
    await running.waitFor(/gateway is ready/);
    expect((await fetch(`${gateway.url}/v1/open/1`)).status).toBe(200);
    await running.waitFor(expected);
    await running.stop();
  });

  test('is text in a terminal', async () => {
    const command = [process.execPath, '--conditions=source', bin, 'serve', '--config', gateway.file].join(' ');
    // `script` from util-linux runs it in a pseudo terminal, and copies its output.
    const terminal = spawn('script', ['-qefc', command, '/dev/null'], { env: { ...process.env, NO_COLOR: '1' } });
    let output = '';
    terminal.stdout.on('data', (chunk) => {
      output += String(chunk).replaceAll('\r', '');
    });
    try {
      await eventually(() => expect(output).toMatch(/^\d\d:\d\d:\d\d gateway is ready$/m), 60_000);
      await fetch(`${gateway.url}/v1/open/1`);
      await eventually(() => expect(output).toMatch(text));
    } finally {
      terminal.kill('SIGTERM');
      await once(terminal, 'close');
    }
  });
});
