import { once } from 'node:events';
import type { Profiler } from 'node:inspector';

/** Every part of a request in the order of the table, and the sum of all. */
export const parts = [
  'sockets and parsing, outside JavaScript',
  'node:http and timers',
  'listener',
  'sanitize',
  'match',
  'authenticate, cached',
  'authorize',
  'limit',
  'sign',
  'request out',
  'response in',
  'response out',
  'log',
  'metrics',
  'garbage collection',
  'rest',
  'whole',
] as const;

export type Parts = Readonly<Record<(typeof parts)[number], number>>;

type Place = Readonly<{ part: keyof Parts; file: RegExp; name?: RegExp }>;

/** In order: which part a function belongs to. A function elsewhere belongs to the part that calls it. */
export const places: readonly Place[] = [
  { part: 'sockets and parsing, outside JavaScript', file: /^$/, name: /^\(program\)$/ },
  { part: 'garbage collection', file: /^$/, name: /^\(garbage collector\)$/ },
  { part: 'response out', file: /^node:_http/, name: /^(?:writeHead|end)$/ },
  { part: 'sanitize', file: /gateway\/src\/pipeline\/(?:sanitize|client-address)\.ts$/ },
  {
    part: 'authorize',
    file: /gateway\/src\/(?:routing\/policy|pipeline\/route)\.ts$/,
    name: /^(?:authorize|refusal)$/,
  },
  { part: 'match', file: /gateway\/src\/(?:routing\/|pipeline\/route\.ts$)/ },
  { part: 'authenticate, cached', file: /gateway\/src\/(?:tokens\/|pipeline\/authenticate\.ts$)/ },
  { part: 'limit', file: /gateway\/src\/(?:limits\/|pipeline\/limit\.ts$)/ },
  { part: 'sign', file: /gateway\/src\/pipeline\/(?:sign|identity-token)\.ts$/ },
  { part: 'log', file: /gateway\/src\/pipeline\/request-record\.ts$|process-kit\/src\/process\/log/ },
  { part: 'metrics', file: /gateway\/src\/metrics\// },
  { part: 'response out', file: /gateway\/src\/upstreams\/forward\/client-response\.ts$/ },
  { part: 'response in', file: /http1-client\/src\/response-/ },
  { part: 'response in', file: /http1-client\/src\/connection\.ts$/, name: /^(?:receive|socket)/ },
  { part: 'response in', file: /gateway\/src\/upstreams\/forward\//, name: /^onResponse/ },
  { part: 'request out', file: /http1-client\/src\/|gateway\/src\/upstreams\/(?:forward\/|pool\/open-upstream)/ },
  { part: 'listener', file: /gateway\/src\/listen\// },
  { part: 'rest', file: /gateway\/src\// },
];

/**
 * Divides a number among the parts like the active time of a profile. A stack without a function of the gateway is
 * Node's.
 */
export function divide(whole: number, { nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Parts {
  const callers = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const partOf = (node: Profiler.ProfileNode | undefined): keyof Parts => {
    if (node === undefined) return 'node:http and timers';
    const { url, functionName } = node.callFrame;
    const place = places.find(({ file, name }) => file.test(url) && (name === undefined || name.test(functionName)));
    return place?.part ?? partOf(callers.get(node.id));
  };
  const partsById = new Map(nodes.map((node) => [node.id, partOf(node)]));
  const micros = Object.fromEntries(parts.map((part) => [part, 0])) as Record<keyof Parts, number>;
  samples.forEach((id, at) => {
    if (byId.get(id)?.callFrame.functionName === '(idle)') return;
    const delta = timeDeltas[at] ?? 0;
    micros[partsById.get(id) ?? 'rest'] += delta;
    micros.whole += delta;
  });
  return Object.fromEntries(parts.map((part) => [part, (whole * micros[part]) / micros.whole])) as Parts;
}

/** Profiles a process that listens for an inspector on this port, as with `node --inspect`. */
export async function openProfiler(port: number): Promise<(work: () => Promise<void>) => Promise<Profiler.Profile>> {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as [
    { webSocketDebuggerUrl: string },
  ];
  const open = async (samplingMicros: number) => {
    const socket = new WebSocket(targets[0].webSocketDebuggerUrl);
    await once(socket, 'open');
    let id = 0;
    const send = async (method: string, params = {}) => {
      id += 1;
      socket.send(JSON.stringify({ id, method, params }));
      const [{ data }] = await once(socket, 'message');
      return JSON.parse(data).result;
    };
    await send('Profiler.enable');
    await send('Profiler.setSamplingInterval', { interval: samplingMicros });
    return send;
  };
  // V8 compiles code with the positions of inlined functions only while a profiler runs.
  await (await open(100_000))('Profiler.start');
  const send = await open(500);
  return async (work) => {
    await send('Profiler.start');
    await work();
    return (await send('Profiler.stop')).profile;
  };
}
