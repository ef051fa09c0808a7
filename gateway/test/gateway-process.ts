import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  eventually,
  freePorts,
  mintIssuer,
  type RecordingUpstream,
  recordingUpstream,
  type StartedProcess,
  startProcess,
  type TestIssuer,
  type UpstreamOptions,
} from '@countersign/testing';
import { Pool } from 'undici';
import { createKey } from '../src/keys/key-files.ts';
import { type IssuerServer, issuerServer } from './issuer-server.ts';

const bin = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));

export type GatewayProcess = Readonly<{
  url: string;
  adminUrl: string;
  internalUrl: string;
  /** The directory of its keys. */
  keysDir: string;
  upstream: RecordingUpstream;
  issuer: TestIssuer;
  issuerServer: IssuerServer;
  /** The path of its file, and the first content. */
  file: string;
  yaml: string;
  write(yaml: string): void;
  /** Starts the gateway; settles when it is ready. */
  start(...args: string[]): Promise<StartedProcess>;
  close(): Promise<void>;
}>;

/** Everything that `countersign serve` needs to run as a process. */
export async function gatewayProcess(
  options: Readonly<{
    upstream?: UpstreamOptions;
    env?: Readonly<Record<string, string>>;
    /** The script to run instead of `countersign`. */
    program?: string;
  }> = {},
): Promise<GatewayProcess> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-process-'));
  createKey('ed25519', join(home, 'keys'), Math.floor(Date.now() / 1000) - 60);
  const issuer = await mintIssuer();
  const auth = await issuerServer(issuer);
  const upstream = await recordingUpstream(options.upstream);
  const [publicPort, admin, internal] = await freePorts(3);
  const yaml = `version: 1
listen: { public: "127.0.0.1:${publicPort}", admin: "127.0.0.1:${admin}", internal: "127.0.0.1:${internal}" }
issuers:
  - issuer: "${issuer.issuer}"
    audience: complaints-api
    jwks: "${auth.url}/jwks.json"
    algorithms: [ES256]
    revocations: { url: "${auth.url}/internal/revocations" }
identity: { keys: ./keys }
upstreams:
  auth: { targets: ["${auth.url}"] }
  things: { targets: ["${upstream.url}"] }
routes:
  - { name: things, path: "/v1/things/**", methods: [GET, POST], upstream: things, auth: required }
  - { name: open, path: "/v1/open/**", methods: [GET], upstream: things, auth: public }
  - { name: socket, path: /v1/socket, methods: [GET], upstream: things, auth: required, websocket: true }
`;
  const file = join(home, 'gateway.yaml');
  writeFileSync(file, yaml);
  const adminUrl = `http://127.0.0.1:${admin}`;
  const started: StartedProcess[] = [];
  return {
    url: `http://127.0.0.1:${publicPort}`,
    adminUrl,
    internalUrl: `http://127.0.0.1:${internal}`,
    keysDir: join(home, 'keys'),
    upstream,
    issuer,
    issuerServer: auth,
    file,
    yaml,
    write: (text) => writeFileSync(file, text),
    async start(...args) {
      const running = startProcess({
        args: [options.program ?? bin, 'serve', '--config', file, ...args],
        env: { LOG_LEVEL: 'info', DRAIN_DELAY_MS: '500', SHUTDOWN_GRACE_MS: '5000', ...options.env },
      });
      started.push(running);
      const ended = running.exited.then((code) => {
        throw new Error(`it ended with ${code}:\n${running.output()}`);
      });
      ended.catch(() => {});
      const ready = eventually(async () => {
        const { status } = await fetch(`${adminUrl}/readyz`);
        if (status !== 200) throw new Error(`/readyz answers ${status}`);
      }, 60_000);
      await Promise.race([ready, ended]);
      return running;
    },
    async close() {
      for (const running of started) await running.stop('SIGKILL');
      await auth.close();
      await upstream.close();
      rmSync(home, { recursive: true });
    },
  };
}

export type Load = Readonly<{
  /** Counts answers by status, and errors by code. */
  outcomes: Readonly<Record<string, number>>;
  /** How many answers had `Connection: close`. */
  lastOnes: number;
  /** Stops sending; settles when all requests are answered. */
  stop(): Promise<void>;
}>;

/** Sends this many requests a second over keep-alive connections, until it is stopped. */
export function loadOn(
  url: string,
  options: Readonly<{ path: string; perSecond: number; token: string; method?: 'GET' | 'POST' }>,
): Load {
  const { path, perSecond, token, method = 'GET' } = options;
  const pool = new Pool(url, { connections: 50, pipelining: 1 });
  const outcomes: Record<string, number> = {};
  const underWay = new Set<Promise<void>>();
  let lastOnes = 0;
  let sent = 0;
  const startedAt = performance.now();

  async function one(): Promise<void> {
    let outcome: string;
    try {
      const headers = { authorization: `Bearer ${token}` };
      const { statusCode, headers: answered, body } = await pool.request({ path, method, headers });
      await body.dump();
      outcome = String(statusCode);
      if (answered.connection === 'close') lastOnes += 1;
    } catch (error) {
      outcome = (error as { code?: string }).code ?? String(error);
    }
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  const timer = setInterval(() => {
    for (const due = ((performance.now() - startedAt) / 1000) * perSecond; sent < due; sent += 1) {
      const request = one();
      underWay.add(request);
      void request.then(() => underWay.delete(request));
    }
  }, 2);
  return {
    outcomes,
    get lastOnes() {
      return lastOnes;
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      await pool.close();
    },
  };
}
