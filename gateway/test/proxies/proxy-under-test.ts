import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVerifier, type Identity, memoryReplay, staticGatewayKeys } from '@countersign/identity';
import {
  eventually,
  freePorts,
  type RecordedRequest,
  rawRequest,
  startProcess,
  type UpstreamOptions,
} from '@countersign/testing';
import { runCli } from '../../src/cli/cli.ts';
import { decisionAt, decisionFor } from '../decision-edits.ts';
import {
  type GatewayOptions,
  type GatewayUnderTest,
  gatewayUnderTest,
  parseAnswer,
  type RawAnswer,
} from '../gateway-under-test.ts';

export type ProxyUnderTest = Readonly<{
  gateway: GatewayUnderTest;
  port: number;
  token: string;
  /** Where `integrate` wrote the proxy's files. */
  directory: string;
  /** Sends these bytes to the proxy. `<host>`, `<token>` and `<close>` stand for headers. */
  raw(text: string): Promise<RawAnswer>;
  get(path: string, lines?: string): Promise<RawAnswer>;
  /** Runs `countersign integrate PROXY` with these arguments. Settles with the exit code and output. */
  integrate(...args: readonly string[]): Promise<Readonly<{ code: number; output: string }>>;
  /** Ends the gateway, and leaves the proxy running. */
  stopGateway(): Promise<void>;
  /** Makes the proxy reload its files, like an operator would. */
  signal(signal: NodeJS.Signals): void;
  /** The result of a service's verification of a received request. Rejects if the service would refuse it. */
  verify(request: RecordedRequest): Promise<Identity>;
  close(): Promise<void>;
}>;

export type ProxyOptions = Readonly<{
  proxy: string;
  routes: string;
  edits?: readonly (readonly [string, string])[];
  env?: Readonly<Record<string, string>>;
  upstream?: UpstreamOptions;
  /** How the proxy proves that it asks: by a secret if this is absent. `<port>` stands for a free one. */
  proof?: Readonly<{ listen: string; decision: string }>;
  /** Changes the written files, as an operator might, before the proxy starts. */
  prepare?: (directory: string, port: number) => void;
  /** Starts the gateway. */
  open?: (options: GatewayOptions) => Promise<GatewayUnderTest>;
  /** The program and its arguments, for the directory with its files, in which it starts unless it names another. */
  start: (directory: string) => Readonly<{ command: string; args: readonly string[]; cwd?: string }>;
}>;

/** Starts a gateway, and a real proxy in front of its upstream with the files that `countersign integrate` writes. */
export async function proxyUnderTest(options: ProxyOptions): Promise<ProxyUnderTest> {
  const { proxy, routes, edits = [], start, upstream, prepare, open = gatewayUnderTest } = options;
  const env = {
    DECISION_SECRET: randomBytes(32).toString('hex'),
    NONCE_SECRET: randomBytes(32).toString('hex'),
    ...options.env,
  };
  const [port = 0, decisionPort = 0, publicPort = 0] = await freePorts(3);
  const { listen, decision } = options.proof ?? {
    listen: '127.0.0.1:<port>',
    decision: `secret: "\${DECISION_SECRET}"`,
  };
  const gateway = await open({
    routes,
    env,
    ...(upstream && { upstream }),
    edits: [
      ['public: "127.0.0.1:0"', `public: "127.0.0.1:${publicPort}"`],
      decisionAt(listen.replace('<port>', String(decisionPort))),
      decisionFor(`${proxy}, ${decision}`),
      ...edits,
    ],
  });
  const directory = mkdtempSync(join(tmpdir(), `countersign-${proxy}-`));
  const integrate = async (...args: readonly string[]) => {
    const lines: string[] = [];
    const code = await runCli(['integrate', proxy, '--config', gateway.file, ...args], {
      out: (line) => void lines.push(line),
      err: (line) => void lines.push(line),
      paint: (_style, text) => text,
      isInteractive: false,
      env: { ...env, HASHED_SECRET: gateway.hmacSecret },
      nowMs: Date.now,
    });
    return { code, output: lines.join('\n') };
  };
  const { code, output } = await integrate('--listen', `127.0.0.1:${port}`, '--out', directory);
  if (code !== 0) throw new Error(output);
  prepare?.(directory, port);
  const running = startProcess({ cwd: directory, ...start(directory) });
  const token = await gateway.issuer.accessToken();
  const jwks = await (await gateway.admin('/.well-known/jwks.json')).json();
  const verifier = createVerifier({
    audience: 'things',
    keys: staticGatewayKeys(jwks as { keys: Record<string, unknown>[] }),
    replay: memoryReplay({ nowMs: () => Date.now() - 60_000 }),
  });
  const raw = async (text: string) => {
    const bytes = text
      .replace('<host>', 'Host: gateway.test')
      .replace('<token>', `Authorization: Bearer ${token}`)
      .replace('<close>', 'Connection: close');
    return parseAnswer(await rawRequest(port, Buffer.from(bytes, 'latin1')));
  };
  const get = (path: string, more = '<token>\r\n') => raw(`GET ${path} HTTP/1.1\r\n<host>\r\n${more}<close>\r\n\r\n`);
  const ended = running.exited.then((status) => {
    throw new Error(`${proxy} ended with ${status}: ${running.output()}`);
  });
  ended.catch(() => {});
  await Promise.race([eventually(() => get('/nowhere')), ended]);
  let stopped: Promise<void> | undefined;
  const stopGateway = () => (stopped ??= gateway.close());
  return {
    gateway,
    port,
    token,
    directory,
    raw,
    get,
    integrate,
    stopGateway,
    signal: (signal) => void process.kill(running.pid, signal),
    verify: ({ method, target, rawHeaders, body }) => verifier.verify({ method, target, rawHeaders, body }),
    async close() {
      await running.stop();
      await stopGateway();
      rmSync(directory, { recursive: true });
    },
  };
}
