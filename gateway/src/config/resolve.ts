import { dirname, resolve } from 'node:path';
import type {
  Allow,
  Certificate,
  Cors,
  GatewayConfig,
  PolicyTest,
  Route,
  TestCaller,
  Upstream,
  UpstreamIdentity,
} from './config.ts';
import type { FileRead } from './files.ts';
import type { KeptClaims } from './issuer.ts';
import { resolveIssuers } from './resolve-issuer.ts';
import type { TestPart } from './schema/policy-tests.ts';
import type { RoutePart } from './schema/routes.ts';
import type { Document } from './schema/schema.ts';
import type { UpstreamPart } from './schema/upstreams.ts';
import type { Secrets } from './secrets.ts';
import { resolveTls } from './tls-files.ts';
import type { Source } from './yaml/source.ts';

export type ResolveOptions = Readonly<{
  /** The absolute path of gateway.yaml. */
  file: string;
  hash: string;
  secrets: Secrets;
  certificate: Certificate | undefined;
  /** The other files that the configuration was read from. */
  files: readonly FileRead[];
  redacted: string;
  /** A string of the file, redacted in the same way. Empty: it has no variable. */
  redactedAt: Source['redactedAt'];
  /** `file:line:column` of a test. */
  placeOfTest: (index: number) => string;
}>;

/** Turns a valid document into the configuration: names become references, paths become absolute. */
export function resolveConfig(document: Document, options: ResolveOptions): GatewayConfig {
  const directory = dirname(options.file);
  const upstreams = new Map(
    Object.entries(document.upstreams).map(([name, part]): [string, Upstream] => [
      name,
      {
        ...resolveUpstream(name, part, known(options.secrets.identities, name), directory),
        httpClient: document.httpClient,
      },
    ]),
  );
  const hasOrigins = document.publicOrigins.length > 0;
  const kept = keptClaims(document);
  return {
    file: options.file,
    hash: options.hash,
    files: [{ path: options.file, hash: options.hash }, ...options.files],
    redacted: options.redacted,
    listen: { public: document.listen.public, admin: document.listen.admin, internal: document.listen.internal },
    admin: document.admin,
    certificate: options.certificate,
    publicOrigins: document.publicOrigins,
    trustedProxies: document.trustedProxies,
    insecureTransport: document.insecureTransport,
    redis: document.redis,
    issuers: document.issuers.flatMap((part, index) =>
      resolveIssuers(part, directory, kept, (...keys) => options.redactedAt(['issuers', index, ...keys])),
    ),
    scopes: [...kept.scopes],
    identity: { keysDir: resolve(directory, document.identity.keys), lifetimeSec: document.identity.lifetime },
    dpop: { nonces: options.secrets.nonces },
    services: new Map(
      Object.entries(document.services).map(([name, { keys }]) => [name, { name, keysFile: resolve(directory, keys) }]),
    ),
    upstreams,
    routes: document.routes.map((part) => ({
      ...resolveRoute(part, known(upstreams, part.upstream)),
      schemes: schemesOf(part, hasOrigins),
    })),
    cors: document.cors && resolveCors(document.cors),
    websockets: document.websockets,
    uploads: { maxBuffered: undefined, maxBufferedPerAddress: undefined, ...document.uploads },
    headers: { ...document.headers, strip: document.headers.strip.map((name) => name.toLowerCase()) },
    tests: document.tests.map((test, index) => resolveTest(test, options.placeOfTest(index))),
  };
}

function resolveUpstream(
  name: string,
  part: UpstreamPart,
  identity: UpstreamIdentity,
  directory: string,
): Omit<Upstream, 'httpClient'> {
  const { timeouts, health, retry, breaker, tls } = part;
  return {
    name,
    targets: part.targets,
    identity,
    txnToken: part.txnToken,
    timeouts: { connectMs: timeouts.connect, responseMs: timeouts.response, idleMs: timeouts.idle },
    minRate: part.minRate,
    balance: part.balance,
    health: health && {
      path: health.path,
      intervalMs: health.interval,
      timeoutMs: health.timeout,
      unhealthyAfter: health.unhealthyAfter,
      healthyAfter: health.healthyAfter,
    },
    retry: { attempts: retry?.attempts ?? 0 },
    breaker: breaker && {
      failureRate: breaker.failureRate,
      minimum: breaker.minimum,
      windowMs: breaker.window,
      cooldownMs: breaker.cooldown,
    },
    tls: tls && resolveTls(tls, directory),
  };
}

function schemesOf({ senderConstrained }: RoutePart, hasOrigins: boolean): Route['schemes'] {
  if (!hasOrigins) return ['Bearer'];
  return senderConstrained === 'required' ? ['DPoP'] : ['Bearer', 'DPoP'];
}

function resolveRoute(part: RoutePart, upstream: Upstream): Omit<Route, 'schemes'> {
  return {
    name: part.name,
    path: part.path,
    methods: part.methods,
    upstream,
    auth: part.auth,
    allow: resolveAllow(part.allow),
    senderConstrained: part.senderConstrained === 'required',
    callers: new Set(part.callers),
    limits: part.limits.map(({ per, ...limit }) => ({ ...limit, perSec: per })),
    body: part.body,
    websocket: part.websocket,
    rewrite: part.rewrite?.prefix,
    forward: { ...part.forward, cookies: new Set(part.forward.cookies) },
  };
}

function resolveAllow({ roles, tenant, scopes, clients, actors, claims }: NonNullable<RoutePart['allow']> = {}): Allow {
  return {
    roles: roles && new Set(roles),
    tenantParam: tenant?.slice(1),
    scopes: scopes === undefined || scopes === 'any' ? [] : scopes,
    clients,
    actors: actors ?? [],
    claims: Object.entries(claims ?? {}).map(([claim, values]) => ({ claim, values: new Set(values) })),
  };
}

function keptClaims({ routes, scopes }: Document): KeptClaims {
  const allows = routes.map(({ allow }) => resolveAllow(allow));
  return {
    scopes: new Set([...allows.flatMap((allow) => allow.scopes), ...scopes]),
    claims: [...new Set(allows.flatMap((allow) => allow.claims.map(({ claim }) => claim)))],
  };
}

function resolveCors({ maxAge, ...part }: NonNullable<Document['cors']>): Cors {
  return { ...part, maxAgeSec: maxAge };
}

type TestCallerPart = NonNullable<TestPart['request']['as']>;

/** @param at `file:line:column` */
export function resolveTest({ request, expect }: TestPart, at: string): PolicyTest {
  return {
    at,
    request: {
      method: request.method,
      target: request.path,
      as: request.as && callerOf(request.as),
      service: request.service,
    },
    expect,
  };
}

/** Keys that are absent become undefined. */
const callerOf = ({
  issuer,
  userId,
  role,
  tenantId,
  client,
  actor,
  claims = {},
  ...rest
}: TestCallerPart): TestCaller => ({
  issuer,
  userId,
  role,
  tenantId,
  client,
  actor,
  claims,
  ...rest,
});

function known<Value>(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name);
  if (value === undefined) throw new Error(`the name ${name} was not checked`);
  return value;
}
