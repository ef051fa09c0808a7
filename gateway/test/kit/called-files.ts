import { once } from 'node:events';
import type { Profiler } from 'node:inspector';

/** Watches which functions are called in a process that was started with `--inspect`. */
export type CallWatch = Readonly<{
  /** The URLs of the scripts, each with the number of calls of the function that was called most during `act`. */
  during(act: () => Promise<void>): Promise<ReadonlyMap<string, number>>;
  close(): void;
}>;

/** @param output What the process wrote so far. Node prints the address of its inspector. */
export async function watchCalls(output: string): Promise<CallWatch> {
  const [address] = /ws:\/\/\S+/.exec(output) ?? [];
  if (address === undefined) throw new Error(`no inspector listens:\n${output}`);
  const socket = new WebSocket(address);
  await once(socket, 'open');
  const waiting = new Map<number, (result: unknown) => void>();
  let lastId = 0;
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown };
    waiting.get(id)?.(result);
    waiting.delete(id);
  });

  function send(method: string, params: object = {}): Promise<unknown> {
    lastId += 1;
    const id = lastId;
    return new Promise((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method: `Profiler.${method}`, params }));
    });
  }

  await send('enable');
  return {
    async during(act) {
      await send('startPreciseCoverage', { callCount: true, detailed: false });
      await act();
      const { result } = (await send('takePreciseCoverage')) as Profiler.TakePreciseCoverageReturnType;
      await send('stopPreciseCoverage');
      const callsOf = ({ functions }: Profiler.ScriptCoverage) =>
        Math.max(...functions.map(({ ranges }) => ranges[0]?.count ?? 0));
      return new Map(result.map((script) => [script.url, callsOf(script)]));
    },
    close: () => socket.close(),
  };
}
