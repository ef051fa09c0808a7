import { type Profiler, Session } from 'node:inspector/promises';

/** The parts of a decision in a profile, as shares of the active time. */
export type Shares = Readonly<{ node: number; pipeline: number; rest: number }>;

/** Profiles this process while `run` runs. */
export async function profile(run: () => Promise<void>): Promise<Profiler.Profile> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 200 });
    await session.post('Profiler.start');
    await run();
    return (await session.post('Profiler.stop')).profile;
  } finally {
    session.disconnect();
  }
}

type Part = keyof Shares | 'ignored';

/** In order: the first entry that matches any function of a stack determines its part. */
const places: readonly Readonly<{ part: Part; name?: RegExp; file: RegExp }>[] = [
  { part: 'ignored', name: /^\((?:idle|program|garbage collector)\)$/, file: /^$/ },
  { part: 'ignored', file: /infra\/bench|^node:inspector/ },
  { part: 'pipeline', file: /gateway\/src\/pipeline\/(?:pipeline|request-record)\.ts$/ },
  { part: 'node', name: /^(?:writeHead|end)$/, file: /^node:_http/ },
  { part: 'rest', file: /(?:gateway|packages|node_modules)\// },
];

/**
 * Divides the active time of a profile into Node's own work, the pipeline with the log line and the metrics, and the
 * rest of the gateway. A stack without a gateway function counts as Node's.
 */
export function sharesOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Shares {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const parts = new Map<number, Part>();
  const micros = { node: 0, pipeline: 0, rest: 0, ignored: 0 };
  samples.forEach((id, at) => {
    const part = parts.get(id) ?? partOf(stackOf(id));
    parts.set(id, part);
    micros[part] += timeDeltas[at] ?? 0;
  });
  const { node, pipeline, rest } = micros;
  const total = node + pipeline + rest;
  return { node: node / total, pipeline: pipeline / total, rest: rest / total };

  function stackOf(id: number): Profiler.ProfileNode[] {
    const stack: Profiler.ProfileNode[] = [];
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at))
      stack.push(byId.get(at) as Profiler.ProfileNode);
    return stack;
  }
}

const partOf = (stack: readonly Profiler.ProfileNode[]): Part =>
  places.find(({ name, file }) =>
    stack.some(
      ({ callFrame }) => file.test(callFrame.url) && (name === undefined || name.test(callFrame.functionName)),
    ),
  )?.part ?? 'node';

/** One sentence for the page. */
export function describeShares({ node, pipeline, rest }: Shares): string {
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
  const ratio = (1 / (node + pipeline)).toFixed(2);
  return `Of a decision's CPU time in a profile, ${percent(node)} is Node's HTTP server, ${percent(pipeline)} is the pipeline with the log line and the metrics, and ${percent(rest)} is the rest of the decision endpoint: ${ratio} times what the first two need.`;
}
