import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CapturingLogger,
  capturingLogger,
  eventually,
  mintIssuer,
  type RecordingUpstream,
  recordingUpstream,
  type TestIssuer,
  type UpstreamOptions,
} from '@countersign/testing';
import { Agent, request } from 'undici';
import { loadConfig } from '../src/config/load.ts';
import { createKey } from '../src/keys/key-files.ts';
import { type GatewayDeps, type RunningGateway, startGateway } from '../src/start-gateway.ts';

export const audience = 'orders-events';
export const eventSecret = 'this-is-the-bearer-secret-of-one-stream-0123456789';
export const previousSecret = 'the-one-before-it-which-still-works-0123456789-abc';

const caep = 'https://schemas.openid.net/secevent/caep/event-type/';
export const backchannelPath = '/.well-known/countersign/backchannel-logout/sso';
export const eventsPath = '/.well-known/countersign/events/sso';

type Json = Readonly<Record<string, unknown>>;

export type EventSource = Readonly<{
  issuer: TestIssuer;
  /** Makes a token with these claims. Default: for user `u-1` of tenant `t-1` in session `s-1`. */
  token(claims?: Json): Promise<string>;
  logoutToken(claims?: Json, header?: Json): Promise<string>;
  /** Makes a Security Event Token. Default: `session-revoked` for `u-1`. */
  signal(claims?: Json, header?: Json): Promise<string>;
}>;

export type EventGateway = Readonly<{
  running: RunningGateway;
  log: CapturingLogger;
  /** Calls the API. @returns The status and the code. */
  ask(token: string): Promise<readonly [number, string | undefined]>;
  logOut(token: string, path?: string): Promise<Answer>;
  push(token: string, bearer?: string): Promise<Answer>;
  post(path: string, headers: Readonly<Record<string, string>>, body: string, port?: number): Promise<Answer>;
  admin(path: string): Promise<Response>;
  stop(): Promise<void>;
}>;

export type Answer = Readonly<{ status: number; headers: Readonly<Record<string, unknown>>; body: string }>;

export type EventWorld = EventSource &
  Readonly<{
    home: string;
    upstream: RecordingUpstream;
    nowMs: () => number;
    start(options?: StartOptions): Promise<EventGateway>;
    /** The file that `start` writes. */
    yaml(options?: StartOptions): string;
    close(): Promise<void>;
  }>;

export type StartOptions = Readonly<{
  /** The journal directory, relative to the home directory. Default: `journal`. */
  journal?: string;
  redis?: string | undefined;
  /** The value of `events`. */
  events?: string;
  /** Other keys in the issuer's entry. */
  issuer?: string;
  /** Other keys in the file. */
  more?: string;
  /** The whole file, instead of the generated one. */
  text?: string;
  /** Called after the file has been read. */
  beforeStart?: () => void;
  deps?: Partial<GatewayDeps>;
}>;

const defaultEvents = `{ audience: ${audience}, backchannelLogout: true, sharedSignals: { secret: "\${SSF_SECRET}", previousSecret: "\${SSF_PREVIOUS}" } }`;

/** An issuer that sends events, a service, and gateways between them that tests start and stop. */
export async function eventWorld(nowMs: () => number = Date.now, service: UpstreamOptions = {}): Promise<EventWorld> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-events-'));
  createKey('ed25519', join(home, 'keys'), Math.floor(nowMs() / 1000) - 60);
  const issuer = await mintIssuer({ nowMs });
  writeFileSync(join(home, 'issuer.json'), JSON.stringify(issuer.jwks));
  const upstream = await recordingUpstream(service);
  const started = new Set<EventGateway>();
  const nowSec = () => Math.floor(nowMs() / 1000);
  let count = 0;
  const nextId = () => {
    count += 1;
    return `id-${count}`;
  };
  const env = { SSF_SECRET: eventSecret, SSF_PREVIOUS: previousSecret };

  const yaml = ({
    journal = 'journal',
    redis,
    events = defaultEvents,
    issuer: keys = '',
    more = '',
  }: StartOptions = {}) => `
version: 1
listen: { public: "127.0.0.1:0", admin: "127.0.0.1:0", internal: "127.0.0.1:0" }
${redis === undefined ? '' : `redis: ${redis}\ninstances: many`}
journal: ${join(home, journal)}
issuers:
  - name: sso
    issuer: "${issuer.issuer}"
    audience: complaints-api
    jwks: ${join(home, 'issuer.json')}
    algorithms: [ES256]
    claims: { userId: sub }
    events: ${events}
${keys}
identity: { keys: "${join(home, 'keys')}" }
upstreams: { things: { targets: ["${upstream.url}"] } }
routes:
  - { name: things, path: "/things/**", methods: [GET, POST], upstream: things, auth: required }
  - { name: upload, path: /upload, methods: [POST], upstream: things, auth: required, body: { mode: stream, maxBytes: 8MiB } }
  - { name: socket, path: /socket, methods: [GET], upstream: things, auth: required, websocket: true }
${more}`;

  async function start(options: StartOptions = {}): Promise<EventGateway> {
    const file = join(home, `gateway-${nextId()}.yaml`);
    writeFileSync(file, options.text ?? yaml(options));
    const log = capturingLogger();
    const config = loadConfig(file, env);
    options.beforeStart?.();
    const running = await startGateway(config, {
      env,
      nowMs,
      logger: log.logger,
      drainDelayMs: 0,
      shutdownGraceMs: 2_000,
      ...options.deps,
    });
    const { ports } = running;
    const dispatcher = new Agent();
    const post: EventGateway['post'] = async (path, headers, body, port = ports.public) => {
      const answer = await request(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body, dispatcher });
      return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
    };
    const gateway: EventGateway = {
      running,
      log,
      post,
      async ask(token) {
        const answer = await request(`http://127.0.0.1:${ports.public}/things/1`, {
          dispatcher,
          headers: { authorization: `Bearer ${token}` },
        });
        const text = await answer.body.text();
        const isProblem = answer.headers['content-type'] === 'application/problem+json';
        return [answer.statusCode, isProblem ? (JSON.parse(text) as { code: string }).code : undefined];
      },
      logOut: (token, path = backchannelPath) =>
        post(path, { 'content-type': 'application/x-www-form-urlencoded' }, `logout_token=${token}`),
      push: (token, bearer = eventSecret) =>
        post(eventsPath, { 'content-type': 'application/secevent+jwt', authorization: `Bearer ${bearer}` }, token),
      admin: (path) => fetch(`http://127.0.0.1:${ports.admin}${path}`, { headers: { connection: 'close' } }),
      async stop() {
        if (!started.delete(gateway)) return;
        // An idle connection of ours would keep the gateway from stopping for a second.
        void dispatcher.close();
        await running.stop();
      },
    };
    started.add(gateway);
    await eventually(async () => {
      const { ok, checks } = await running.health.ready();
      if (!ok) throw new Error(`not ready: ${JSON.stringify(checks)}`);
    });
    return gateway;
  }

  return {
    issuer,
    home,
    upstream,
    nowMs,
    start,
    yaml,
    token: (claims = {}) =>
      issuer.accessToken({ user_id: undefined, sub: 'u-1', tenant_id: 't-1', sid: 's-1', ...claims }),
    logoutToken: (claims = {}, header = {}) =>
      issuer.sign(
        defined({
          iss: issuer.issuer,
          aud: audience,
          iat: nowSec(),
          exp: nowSec() + 120,
          jti: nextId(),
          sub: 'u-1',
          sid: 's-1',
          events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
          ...claims,
        }),
        { typ: 'logout+jwt', ...header },
      ),
    signal: (claims = {}, header = {}) =>
      issuer.sign(
        defined({
          iss: issuer.issuer,
          aud: audience,
          iat: nowSec(),
          jti: nextId(),
          sub_id: { format: 'iss_sub', iss: issuer.issuer, sub: 'u-1' },
          events: { [`${caep}session-revoked`]: { event_timestamp: nowSec() } },
          ...claims,
        }),
        { typ: 'secevent+jwt', ...header },
      ),
    async close() {
      await Promise.all([...started].map((gateway) => gateway.stop()));
      await upstream.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const defined = (claims: Json) => Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
