import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '@countersign/testing';
import { expect } from '@jest/globals';

export type ServiceProcess = Readonly<{ output(): string; stop(): Promise<void> }>;

export type Program = Readonly<{ command: string; args: readonly string[]; cwd: string; env?: NodeJS.ProcessEnv }>;

/** Starts a program as its user would, without this repository's Node options or conditions. */
export function startProgram({ command, args, cwd, env = {} }: Program): ServiceProcess {
  // Uses a separate process group, so that programs started by `npm start` or `go run` also end.
  const child = spawn(command, args, { cwd, env: { ...process.env, NODE_OPTIONS: '', ...env }, detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const closed = once(child, 'close');
  return {
    output: () => output,
    async stop() {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
      await closed;
    },
  };
}

/** Repeats a request until the response has this status. */
export async function untilStatus(status: number, send: () => Promise<Response>): Promise<Response> {
  let answer: Response | undefined;
  await eventually(async () => {
    answer = await send();
    expect([answer.status, answer.status === status ? '' : await answer.text()]).toEqual([status, '']);
  }, 60_000);
  if (answer === undefined) throw new Error('no response');
  return answer;
}
