import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { eventually, startProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';

const fixture = new URL('./fixture-process.ts', import.meta.url).pathname;

async function startFixture(env: Record<string, string> = {}) {
  const started = startProcess({ args: [fixture], env: { LOG_LEVEL: 'info', ...env } });
  await started.waitFor(/listening on \d+/);
  return { ...started, url: `http://127.0.0.1:${/listening on (\d+)/.exec(started.output())?.[1]}` };
}

test('SIGTERM turns off readiness, finishes current requests, then exits with code 0', async () => {
  const started = await startFixture({ DRAIN_DELAY_MS: '400' });
  const slow = fetch(`${started.url}/slow`).then((response) => response.text());
  await started.waitFor(/slow request is in/);
  const exit = started.stop('SIGTERM');
  await eventually(async () => expect((await fetch(`${started.url}/readyz`)).status).toBe(503));
  expect(await slow).toBe('answered');
  expect(await exit).toBe(0);
});

test('a port in use prints one sentence and exits with code 1', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  const started = startProcess({ args: [fixture], env: { FIXTURE_PORT: String(port) } });
  expect(await started.exited).toBe(1);
  expect(started.output()).toBe(`fixture: listener: 127.0.0.1:${port} is already in use\n`);
  holder.close();
});

test('an invalid configuration prints every problem and exits with code 1', async () => {
  const started = startProcess({ args: [fixture], env: { FIXTURE_PORT: 'x', LOG_LEVEL: 'y' } });
  expect(await started.exited).toBe(1);
  expect(started.output()).toMatch(/^fixture: configuration\n {2}LOG_LEVEL: .*\n {2}FIXTURE_PORT: .*\n$/);
});
