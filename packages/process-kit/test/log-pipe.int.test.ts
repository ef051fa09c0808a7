import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually, freePorts } from '@countersign/testing';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const program = fileURLToPath(new URL('./fixture-process.ts', import.meta.url));

let port = 0;
let child: ChildProcess;
/** Requests a path. Each request writes a log line longer than the path. */
const ask = async (path = '/healthz') => (await fetch(`http://127.0.0.1:${port}${path}`)).status;

beforeEach(async () => {
  [port = 0] = await freePorts(1);
  child = spawn(process.execPath, ['--conditions=source', program], {
    env: { ...process.env, NODE_OPTIONS: '', FIXTURE_PORT: String(port), LOG_LEVEL: 'info' },
    // Its standard output is not read until a test does.
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await eventually(async () => expect(await ask()).toBe(200), 30_000);
});
afterEach(() => {
  child.kill('SIGKILL');
});

const logMuch = async () => {
  // More than the pipe, this process's read-ahead and the log buffer hold together.
  for (let count = 0; count < 12; count += 1) expect(await ask('/log-much')).toBe(200);
};

test('an unread log delays neither requests nor the exit', async () => {
  await logMuch();
  expect(await ask()).toBe(200);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('a reader that resumes gets whole buffered lines and the number of dropped ones', async () => {
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

/** Reads the log from now on. */
function readLog() {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  const lines = () =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { fewAnd: (msg: string) => lines().filter((line) => line.msg === 'one of few' || line.msg === msg) };
}
const few = Array.from({ length: 20 }, (_, n) => expect.objectContaining({ n, msg: 'one of few' }));

test('an error line is written immediately, after all earlier lines', async () => {
  const log = readLog();
  // There is no response: the process stays busy, and its timers do not run.
  ask('/log-error?block').catch(() => {});
  await eventually(() => expect(log.fewAnd('wrong')).toEqual([...few, expect.objectContaining({ level: 50 })]));
});

test.each([
  ['throws', '/log-then-throw', 1, [expect.objectContaining({ level: 60, msg: 'uncaught exception' })]],
  ['exits', '/log-then-exit', 3, []],
])('a process that %s loses no log line', async (_name, path, code, last) => {
  const log = readLog();
  const ended = once(child, 'close');
  ask(path).catch(() => {});
  expect(await ended).toEqual([code, null]);
  expect(log.fewAnd('uncaught exception')).toEqual([...few, ...last]);
});
