import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import {
  type CapturingLogger,
  capturingLogger,
  eventually,
  mintIssuer,
  type RecordingUpstream,
  rawRequest,
  recordingUpstream,
  type TestIssuer,
  type UpstreamOptions,
} from '@countersign/testing';
import { Agent, request } from 'undici';
import type { GatewayConfig } from '../src/config/config.ts';
import { loadConfig } from '../src/config/load.ts';
import { createKey } from '../src/keys/key-files.ts';
import type { ReloadTiming } from '../src/reload/reload.ts';
import { type GatewayDeps, type RunningGateway, startGateway } from '../src/start-gateway.ts';
import { type IssuerServer, issuerServer } from './issuer-server.ts';

export const acme = '01890a5d-ac96-774b-bcce-b302099a8001';

/** Every kind of route, all to one recording upstream. */
const routes = `
  - { name: things, path: "/v1/things/**", methods: [GET, POST, PUT, PATCH, DELETE, OPTIONS], upstream: things, auth: required, body: { mode: digest, maxBytes: 64KiB } }
  - { name: admin, path: /v1/admin, methods: [GET, POST], upstream: things, auth: required, allow: { roles: [admin] } }
  - { name: tenant, path: "/v1/tenants/:tenantId/settings", methods: [GET], upstream: things, auth: required, allow: { tenant: ":tenantId" } }
  - { name: open, path: "/v1/open/**", methods: [GET, POST], upstream: things, auth: public, forward: { cookies: [__Host-rt] } }
  - { name: maybe, path: /v1/maybe, methods: [GET], upstream: things, auth: optional }
  - { name: upload, path: /v1/upload, methods: [POST], upstream: things, auth: required, body: { mode: stream, maxBytes: 8MiB } }
  - { name: bare, path: /v1/bare, methods: [POST, DELETE], upstream: things, auth: required, body: { mode: none } }
  - { name: socket, path: /v1/socket, methods: [GET], upstream: things, auth: required, websocket: true }
  - { name: limited, path: /v1/limited, methods: [GET, POST], upstream: things, auth: public, limits: [{ requests: 3, per: 1m, by: address }] }
  - { name: limited-user, path: /v1/limited-user, methods: [GET], upstream: things, auth: required, limits: [{ requests: 2, per: 1m, by: user }] }
  - { name: moved, path: "/v2/things/**", methods: [GET], upstream: things, auth: required, rewrite: { prefix: { from: /v2, to: /v1 } } }
  - { name: hashed, path: /v1/hashed, methods: [GET, POST], upstream: hashed, auth: required }
`;

type Edits = readonly (readonly [from: string, to: string])[];

export type GatewayOptions = Readonly<{
  /** The file's routes, instead of the default ones. */
  routes?: string;
  /** Further upstreams, at the recording upstream's URL, as lines of YAML. */
  upstreams?: (url: string) => string;
  /** Further variables that the file may use. */
  env?: Readonly<Record<string, string>>;
  upstream?: UpstreamOptions;
  /** Replaces lines of the file, e.g. `['trustedProxies: []', 'trustedProxies: ["127.0.0.0/8"]']`. */
  edits?: Edits;
  batchSize?: number;
  reloadTiming?: ReloadTiming;
  /**
   * Whether to read a new file in a thread, as in production. Default: in this thread, because starting one takes
   * time.
   */
  isReadAside?: boolean;
  /** Called with each configuration that the running gateway reads. */
  loaded?: (config: GatewayConfig) => void;
  nowMs?: () => number;
  keySets?: GatewayDeps['keySets'];
  listenerTimes?: GatewayDeps['listenerTimes'];
  /** How the issuer's key set endpoint answers at first. Default: with the issuer's keys. */
  answerKeys?: RequestListener;
  redis?: string;
  /** Whether the gateway has an X25519 key too. Default: false. */
  hasAgreementKey?: boolean;
  /** Whether the gateway has an ES256 key for identity tokens too. Default: false. */
  hasTokenKey?: boolean;
  /** If false, returns the gateway before it has read its keys and revocations. */
  isIssuerHealthy?: boolean;
  isFeedHealthy?: boolean;
  /** If false, returns the gateway before it is ready. */
  isReady?: boolean;
}>;

export type GatewayUnderTest = Readonly<{
  port: number;
  running: RunningGateway;
  upstream: RecordingUpstream;
  issuer: TestIssuer;
  issuerServer: IssuerServer;
  log: CapturingLogger;
  hmacSecret: string;
  /** The path of the configuration file, and its initial text. */
  file: string;
  yaml: string;
  /** Sends exactly these bytes. `<host>` and `<close>` stand for `Host` and `Connection: close`. */
  raw(text: string): Promise<RawAnswer>;
  /** Sends a well-formed request over its own connection. */
  ask(
    path: string,
    options?: AskOptions,
  ): Promise<Readonly<{ status: number; code: string | undefined; body: Buffer }>>;
  admin(path: string): Promise<Response>;
  /** Writes the initial file with these edits instead, and reloads it. Throws if it is refused. */
  reload(edits?: Edits): Promise<void>;
  close(): Promise<void>;
}>;

export type AskOptions = Readonly<{
  method?: 'GET' | 'POST';
  token?: string;
  headers?: Readonly<Record<string, string>>;
  body?: Buffer | ReadableStream<Uint8Array>;
}>;

export type RawAnswer = Readonly<{
  status: number;
  text: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  code: string | undefined;
}>;

/** Starts a complete gateway on free ports, with a real issuer and a recording upstream. */
export async function gatewayUnderTest(options: GatewayOptions = {}): Promise<GatewayUnderTest> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-gateway-'));
  const nowMs = options.nowMs ?? Date.now;
  createKey('ed25519', join(home, 'keys'), Math.floor(nowMs() / 1000) - 60);
  if (options.hasAgreementKey === true) createKey('x25519', join(home, 'keys'), Math.floor(nowMs() / 1000) - 60);
  if (options.hasTokenKey === true) createKey('es256', join(home, 'keys'), Math.floor(nowMs() / 1000) - 60);
  const issuer = await mintIssuer({ nowMs });
  const auth = await issuerServer(issuer, options.batchSize);
  auth.setHealthy(options.isIssuerHealthy ?? true);
  if (options.answerKeys !== undefined) auth.answerKeys(options.answerKeys);
  auth.setFeedHealthy(options.isFeedHealthy ?? true);
  const upstream = await recordingUpstream(options.upstream);
  const hmacSecret = randomBytes(32).toString('base64url');
  const yaml = `
version: 1
listen: { public: "127.0.0.1:0", admin: "127.0.0.1:0", internal: "127.0.0.1:0" }
publicOrigins: ["http://gateway.test"]
trustedProxies: []
redis: "\${REDIS_URL:-}"
issuers:
  - issuer: "${issuer.issuer}"
    audience: complaints-api
    jwks: "${auth.url}/jwks.json"
    algorithms: [ES256]
    revocations: { url: "${auth.url}/internal/revocations", maxStaleness: 30s, onStale: allow }
identity: { keys: "${join(home, 'keys')}", lifetime: 30s }
upstreams:
  auth: { targets: ["${auth.url}"] }
  things: { targets: ["${upstream.url}"], timeouts: { connect: 1s, response: 2s, idle: 2s } }
  hashed: { targets: ["${upstream.url}"], identity: { algorithm: hmac-sha256, secret: "\${HASHED_SECRET}" } }
${options.upstreams?.(upstream.url) ?? ''}
routes:${options.routes ?? routes}
`;
  const env = { ...options.env, REDIS_URL: options.redis, HASHED_SECRET: hmacSecret };
  const file = join(home, 'gateway.yaml');
  const write = (edits: Edits = []) => writeFileSync(file, edited(yaml, edits));
  write(options.edits);
  const loadHere = async (...which: Parameters<typeof loadConfig>) => {
    const config = loadConfig(...which);
    options.loaded?.(config);
    return config;
  };
  const log = capturingLogger();
  const closeAround = async () => {
    await auth.close();
    await upstream.close();
    rmSync(home, { recursive: true });
  };
  let running: RunningGateway;
  try {
    running = await startGateway(loadConfig(file, env), {
      env,
      reloadTiming: options.reloadTiming,
      load: options.isReadAside === true ? undefined : loadHere,
      logger: log.logger,
      drainDelayMs: 0,
      shutdownGraceMs: 2_000,
      ...(options.nowMs && { nowMs: options.nowMs }),
      ...(options.keySets && { keySets: options.keySets }),
      ...(options.listenerTimes && { listenerTimes: options.listenerTimes }),
    });
  } catch (error) {
    await closeAround();
    throw error;
  }
  const { ports } = running;
  const agent = new Agent();
  const gateway: GatewayUnderTest = {
    port: ports.public,
    running,
    upstream,
    issuer,
    issuerServer: auth,
    log,
    hmacSecret,
    file,
    yaml: edited(yaml, options.edits),
    async raw(text) {
      const bytes = text.replace('<host>', 'Host: gateway.test').replace('<close>', 'Connection: close');
      return parseAnswer(await rawRequest(ports.public, Buffer.from(bytes, 'latin1')));
    },
    async ask(path, { method = 'GET', token, headers, body } = {}) {
      const answer = await request(`http://127.0.0.1:${ports.public}${path}`, {
        dispatcher: agent,
        method,
        headers: { host: 'gateway.test', ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
        body: body instanceof ReadableStream ? Readable.fromWeb(body) : (body ?? null),
      });
      const bytes = Buffer.from(await answer.body.arrayBuffer());
      const isProblem = answer.headers['content-type'] === 'application/problem+json';
      const code = isProblem ? (JSON.parse(bytes.toString()) as { code: string }).code : undefined;
      return { status: answer.statusCode, code, body: bytes };
    },
    admin: (path) => fetch(`http://127.0.0.1:${ports.admin}${path}`, { headers: { connection: 'close' } }),
    async reload(edits) {
      write(edits);
      const { refused } = await running.reload();
      if (refused !== undefined) throw new Error(refused.problems.join('\n'));
    },
    async close() {
      // An idle connection of ours would keep the gateway from stopping for a second.
      void agent.close();
      await running.stop();
      await closeAround();
    },
  };
  const { isIssuerHealthy = true, isFeedHealthy = true, isReady = isIssuerHealthy && isFeedHealthy } = options;
  if (!isReady) return gateway;
  await eventually(async () => {
    const { ok, checks } = await running.health.ready();
    if (!ok) throw new Error(`not ready: ${JSON.stringify(checks)}`);
  });
  return gateway;
}

export function edited(yaml: string, edits: Edits = []): string {
  let text = yaml;
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`nothing to edit: ${from}`);
    text = text.replace(from, () => to);
  }
  return text;
}

/** The first answer in these bytes. */
export function parseAnswer(text: string): RawAnswer {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const headers = Object.fromEntries(
    fields.map((field) => [
      field.slice(0, field.indexOf(':')).toLowerCase(),
      field.slice(field.indexOf(':') + 1).trim(),
    ]),
  );
  const raw = rest.join('\r\n\r\n');
  const body = headers['transfer-encoding'] === 'chunked' ? unchunked(raw) : raw;
  const code =
    headers['content-type'] === 'application/problem+json' ? /"code":"([a-z_]+)"/.exec(body)?.[1] : undefined;
  return { status: Number(line.split(' ')[1]), text, headers, body, code };
}

/** The content of the chunks received so far. */
function unchunked(text: string): string {
  const end = text.indexOf('\r\n');
  const size = Number.parseInt(text.slice(0, end), 16);
  if (end === -1 || !(size > 0)) return '';
  return text.slice(end + 2, end + 2 + size) + unchunked(text.slice(end + 4 + size));
}
