import { dirname, resolve } from 'node:path';
import { foldHeaderName } from '@countersign/identity';
import type { Path, Source } from '@countersign/strict-yaml';
import type { ListenerCertificate } from './files.ts';
import type { FlatFile } from './route-groups.ts';
import { type KeptClaims, resolveIssuers } from './schema/issuers/issuers.ts';
import { requiredScopes, resolveRoute } from './schema/routes.ts';
import type { Document } from './schema/schema.ts';
import { resolveUpstream, type Upstream, type UpstreamIdentity } from './schema/upstreams.ts';
import { type Immutable, isMap } from './schema/values/shapes.ts';
import type { Secrets } from './secrets.ts';

export type { Certificate } from './files.ts';
export { providers } from './presets.ts';
export type * from './schema/issuers/issuer-values.ts';
export type { Issuer } from './schema/issuers/issuers.ts';
export type { PolicyTest, TestCaller } from './schema/policy-tests.ts';
export type { Allow, AllowedParty, AuthMode, Limit, Route, Scheme } from './schema/routes.ts';
export { requiredScopes } from './schema/routes.ts';
export type { Upstream, UpstreamTls } from './schema/upstreams.ts';
export type { Network } from './schema/values/urls.ts';

/** The tolerated clock difference between the gateway, issuers, services and clients. */
export const toleranceMs = 5000;

/** The CORS settings. `headers` and `expose` add to the headers that the gateway itself needs. */
export type Cors = NonNullable<GatewayConfig['cors']>;

/** How the proxy proves that a request comes from it. */
export type DecisionSettings = NonNullable<GatewayConfig['decision']>;

/** A valid configuration. It is immutable: a reload creates a new one. */
export type GatewayConfig = Immutable<ReturnType<typeof resolveConfig>>;

type ResolveOptions = Readonly<{
  file: string;
  /** SHA-256 of the file text, in hex. The text names variables, so the hash reveals no secret. */
  hash: string;
  source: Source;
  secrets: Secrets;
  certificate: ListenerCertificate;
  flat: FlatFile;
  placeOf(path: Path): string;
}>;

/**
 * Turns a valid document into the configuration: names become references, paths become absolute. The checks guarantee
 * that each name exists.
 */
export function resolveConfig(document: Document, options: ResolveOptions) {
  const { file, hash, source, flat, certificate, secrets, placeOf } = options;
  const directory = dirname(file);
  // The certificate has already been read. Its files may change without a restart.
  const { tls: _tls, ...listen } = document.listen;
  const { version: _version, decision, identity, services, httpClient, uploads, headers, ...rest } = document;
  const upstreams = new Map<string, Upstream>(
    Object.entries(document.upstreams).map(([name, part]) => [
      name,
      resolveUpstream(name, part, {
        identity: secrets.identities.get(name) as UpstreamIdentity,
        directory,
        httpClient,
      }),
    ]),
  );
  const kept = keptClaims(document);
  // Removed from every request and response, so that only the gateway can present a token, and clients see none.
  const used = Object.values(document.upstreams).flatMap(({ identity: { token } }) => token?.header ?? []);
  const tokenHeaders = [...new Set(used)].filter((name) => name !== 'authorization');
  const named = document.routes.flatMap(({ forward }) => forward.cookies);
  const guarded = new Set(['__host-rt', ...named.map((name) => name.toLowerCase())]);
  return {
    ...rest,
    file,
    hash,
    files: [{ path: file, hash }, ...secrets.files, ...certificate.files],
    /**
     * The file's values without secrets, as JSON. A string passes between threads faster than an object tree.
     */
    redacted: redactedConfig(source),
    listen,
    certificate: certificate.certificate,
    issuers: document.issuers.flatMap((part, index) => {
      const redactedAt = (...keys: readonly string[]) => source.redactedAt(['issuers', index, ...keys]);
      const clientSecret = secrets.introspection[index];
      return resolveIssuers(part, { directory, kept, redactedAt, clientSecret });
    }),
    /** Every scope that a route requires, or that a service checks. */
    scopes: [...kept.scopes],
    identity: {
      keysDir: resolve(directory, identity.keys),
      keyFiles: identity.keyFiles,
      lifetimeSec: identity.lifetime,
      name: identity.name,
      issuer: identity.issuer,
    },
    dpop: { nonces: secrets.nonces },
    journal: document.journal && resolve(directory, document.journal),
    /** The secrets of those who send events, by the name of the issuer. */
    eventSecrets: secrets.events,
    decision: decision && {
      proxy: decision.proxy,
      trust: decision.trust,
      group: decision.group,
      /** Empty if the proxy proves itself in another way. */
      secrets: secrets.decision,
      clientCa: certificate.decisionCa,
    },
    services: new Map(
      Object.entries(services).map(([name, { keys }]) => [name, { name, keysFile: resolve(directory, keys) }]),
    ),
    upstreams,
    routes: document.routes.map((part, index) =>
      resolveRoute(part, {
        upstream: upstreams.get(part.upstream) as Upstream,
        hasOrigins: document.publicOrigins.length > 0,
        guarded,
        tokenHeaders: new Set(tokenHeaders.map(foldHeaderName)),
        inherited: flat.inheritedBy(index).map(({ at, ...keys }) => ({ ...keys, at: placeOf(at) })),
      }),
    ),
    uploads: { maxBuffered: undefined, maxBufferedPerAddress: undefined, ...uploads },
    headers: { ...headers, strip: [...headers.strip.map((name) => name.toLowerCase()), ...tokenHeaders] },
    tests: document.tests.map((test, index) => ({ ...test, at: placeOf(['tests', index]) })),
  };
}

function keptClaims({ routes, scopes, upstreams }: Document): KeptClaims {
  const allows = routes.map(({ allow = {} }) => allow);
  return {
    scopes: new Set([...allows.flatMap(requiredScopes), ...scopes]),
    claims: [...new Set(allows.flatMap(({ claims = {} }) => Object.keys(claims)))],
    copied: [...new Set(Object.values(upstreams).flatMap(({ identity }) => identity.token?.claims ?? []))],
  };
}

/** The user and password of a URL in any text. Greedy, because a password may contain an `@` or a slash. */
const userinfo = /\/\/\S*@/g;

/**
 * Returns the values of a file as JSON, for operators. A value from the environment is replaced by its variable's
 * name. `readSecrets` accepts secrets only from variables and files, so the JSON contains none.
 */
function redactedConfig(source: Source): string {
  const redact = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') return (source.redactedAt(path) || value).replace(userinfo, '//[redacted]@');
    if (Array.isArray(value)) return value.map((item, index) => redact(item, [...path, index]));
    if (!isMap(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item, [...path, key])]));
  };
  return JSON.stringify(redact(source.value, []));
}
