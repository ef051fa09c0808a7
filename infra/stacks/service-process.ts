import { eventually, freePorts, type ProcessOptions, startProcess } from '@countersign/testing';
import { expect } from '@jest/globals';

export type ServiceProcess = Awaited<ReturnType<typeof startService>>;

export type ServiceOptions = Omit<ProcessOptions, 'args'> & Readonly<{ args(port: number): readonly string[] }>;

/** Starts a service behind the gateway, with `PORT` and as a process, and waits until it answers. */
export async function startService({ args, env, ...options }: ServiceOptions) {
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const started = startProcess({ ...options, ownGroup: true, args: args(port), env: { ...env, PORT: String(port) } });
  const ask = () => fetch(`${url}/metrics`, { headers: { connection: 'close' } });
  await eventually(ask, 100_000).catch(async (cause) => {
    await started.stop();
    throw new Error(started.output(), { cause });
  });
  return {
    port,
    url,
    output: started.output,
    /** How many requests its handlers saw, if it is one of the services of packages/verifiers. It has one process. */
    handled: async () => ((await (await ask()).json()) as { handled: number }).handled,
    stop: started.stop,
  };
}

export const untilStatus = (status: number, send: () => Promise<Response>): Promise<Response> =>
  eventually(async () => {
    const answer = await send();
    expect([answer.status, answer.status === status ? '' : await answer.text()]).toEqual([status, '']);
    return answer;
  }, 60_000);
