import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePorts, installTools, rawRequest, startProcess } from '@countersign/testing';
import { gatewayUnderTest, parseAnswer } from '../gateway-under-test.ts';
import { spellings } from './spellings.ts';

const here = import.meta.dirname;

type Service = Readonly<{ port: number; stop(): Promise<unknown> }>;

/** Starts a program that prints its port. */
export async function startRouter(command: string, args: readonly string[], env = {}): Promise<Service> {
  const started = startProcess({ command, args, env, cwd: here });
  await started.waitFor(/listening on \d+\./);
  const [, port] = /listening on (\d+)\./.exec(started.output()) ?? [];
  return { port: Number(port), stop: () => started.stop() };
}

/** Starts a program that must be told its port. */
export async function startServer(
  command: string,
  args: (port: string) => readonly string[],
  cwd = here,
): Promise<Service> {
  const [port = 0] = await freePorts(1);
  const started = startProcess({
    command,
    args: args(String(port)),
    cwd,
    ownGroup: true,
    env: { PYTHONDONTWRITEBYTECODE: '1' },
  });
  await eventually(() => fetch(`http://127.0.0.1:${port}/x`, { headers: { connection: 'close' } }), 60_000).catch(
    async (error: unknown) => {
      await started.stop();
      throw new Error(started.output(), { cause: error });
    },
  );
  return { port, stop: () => started.stop() };
}

export function startNode(program: string, env = {}): Promise<Service> {
  installTools(here);
  return startRouter(process.execPath, [program], env);
}

/** Builds the Go program and starts it. */
export function startGo(directory: string): Promise<Service> {
  const program = join(directory, 'router');
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '' };
  const { status, stderr } = spawnSync('go', ['build', '-o', program, 'main.go'], { cwd: here, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return startRouter(program, []);
}

export async function startNext(): Promise<Service> {
  const folder = join(here, 'next');
  installTools(folder);
  const next = join(folder, 'node_modules/next/dist/bin/next');
  const env = { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [next, 'build'], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stdout + stderr);
  return startServer(process.execPath, (port) => [next, 'start', '-H', '127.0.0.1', '-p', port], folder);
}

/** Whether Debian's Tomcat is installed. */
export const tomcatJars = globSync('/usr/share/java/tomcat10-*.jar');
export const startTomcat = (): Promise<Service> => startRouter('java', ['-cp', tomcatJars.join(':'), 'Routes.java']);

const admin = 'methods: [GET], upstream: router, auth: required, allow: { roles: [admin] }';
const routes = `
  - { name: report, path: "/reports/:id", ${admin} }
  - { name: reports, path: /reports, ${admin} }
  - { name: health, path: /healthz, ${admin} }
  - { name: all, path: "/**", methods: [GET], upstream: router, auth: required }
`;

export type Comparison = Readonly<{
  /** The spellings that the gateway forwarded by one route and the service answered by another. */
  crossed: readonly string[];
  /** The same with `paths: exact`, which turns the gateway's rule off. */
  crossedWithoutRule: readonly string[];
  /** How many requests the service answered through the gateway. */
  forwarded: number;
}>;

/** Sends every spelling through the gateway, as a user and as an administrator. */
export async function compare({ port, stop }: Service): Promise<Comparison> {
  const upstream = (paths: string) =>
    `upstreams:\n  router: { targets: ["http://127.0.0.1:${port}"], paths: ${paths} }\n`;
  const gateway = await gatewayUnderTest({ routes, edits: [['upstreams:\n', upstream('tolerant')]] });
  async function throughGateway() {
    const answered: { target: string; handler: string; id: string }[] = [];
    for (const role of ['agent', 'admin']) {
      const token = await gateway.issuer.accessToken({ role });
      for (const { target, headers } of await askAll(gateway.port, `Authorization: Bearer ${token}\r\n`)) {
        const { 'x-handler': handler, 'x-request-id': id = '' } = headers;
        if (handler !== undefined) answered.push({ target, handler, id });
      }
    }
    return await eventually(() => {
      const routeOf = new Map(gateway.log.lines().map(({ request_id, route }) => [request_id, route]));
      if (!answered.every(({ id }) => routeOf.has(id))) throw new Error('not logged yet');
      const crossed = answered.filter(({ id, handler }) => routeOf.get(id) !== handler);
      return { crossed: [...new Set(crossed.map(({ target }) => target))], forwarded: answered.length };
    });
  }
  try {
    const through = await throughGateway();
    await gateway.reload([['upstreams:\n', upstream('exact')]]);
    return { ...through, crossedWithoutRule: (await throughGateway()).crossed };
  } finally {
    await gateway.close();
    await stop();
  }
}

/** Sends every spelling, some at a time, because each needs a connection. */
async function askAll(port: number, more: string) {
  const answers: { target: string; headers: Readonly<Record<string, string>> }[] = [];
  for (let at = 0; at < spellings.length; at += 16) {
    const asked = spellings.slice(at, at + 16).map(async (target) => {
      const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: gateway.test\r\n${more}Connection: close\r\n\r\n`);
      // Some servers close without an answer.
      const headers = await rawRequest(port, bytes).then(
        (text) => parseAnswer(text).headers,
        () => ({}),
      );
      return { target, headers };
    });
    answers.push(...(await Promise.all(asked)));
  }
  return answers;
}
