import { expect, test } from '@jest/globals';
import { startProcess } from './start-process.ts';

test('waits for a process’s output, and returns how it ended', async () => {
  const started = startProcess({ args: ['--eval', "console.log('up'); setInterval(() => {}, 1000)"] });
  await started.waitFor(/up/);
  expect(await started.stop()).toBe('SIGTERM');
});

test('rejects with the output when the process ends before it is ready', async () => {
  const started = startProcess({ args: ['--eval', "console.error('cannot'); process.exit(3)"] });
  await expect(started.waitFor(/never/)).rejects.toThrow(/ended with 3 .*\ncannot/s);
});

test('ends the programs that a process with its own group started', async () => {
  const started = startProcess({ command: 'sh', args: ['-c', 'sleep 600 & echo up; wait'], ownGroup: true });
  await started.waitFor(/up/);
  // The output stays open while `sleep` runs.
  expect(await started.stop()).toBe('SIGTERM');
});
