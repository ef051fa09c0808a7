import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually, freePorts } from '@countersign/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const program = fileURLToPath(new URL('./fixture-process.ts', import.meta.url));

let port = 0;
let child: ChildProcess;
/** Answers of /healthz, each of which costs a line in the log that is longer than its path. */
const ask = async (path = '/healthz') => (await fetch(`http://127.0.0.1:${port}${path}`)).status;

beforeEach(async () => {
  [port = 0] = await freePorts(1);
  child = spawn(process.execPath, ['--conditions=source', program], {
    env: { ...process.env, NODE_OPTIONS: '', FIXTURE_PORT: String(port), LOG_LEVEL: 'info' },
    // Nobody reads its standard output until a test does.
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await eventually(async () => expect(await ask()).toBe(200), 30_000);
});
afterEach(() => {
  child.kill('SIGKILL');
});

const logMuch = async () => {
  // More than a pipe and this process's own reading ahead hold, and more than is kept.
  for (let count = 0; count < 12; count += 1) expect(await ask('/log-much')).toBe(200);
};

test('a log that nobody reads holds up no request, nor the end', async () => {
  await logMuch();
  expect(await ask()).toBe(200);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('who reads on gets what was kept, whole lines, and is told how many were lost', async () => {
  await logMuch();
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await eventually(() => expect(text).toContain('log lines were lost'), 30_000);
  expect(await ask('/log-one')).toBe(200);
  await eventually(() => expect(text).toContain('"n":"one"'));
  const lines = text
    .trimEnd()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  const loud = lines.filter(({ n }) => typeof n === 'number');
  const { lost } = lines.find(({ msg }) => msg.startsWith('log lines were lost'));
  expect(loud.length + lost).toBe(12 * 1_000);
  expect(loud.map(({ n }) => n)).toEqual(Array.from(loud, (_, index) => index));
});
