import { dirname, resolve } from 'node:path';
import type { Path, Source } from '@countersign/strict-yaml';
import { redactedConfig } from './redacted-config.ts';
import type { FlatFile } from './route-groups.ts';
import { requiredScopes } from './schema/allow.ts';
import { resolveDecision } from './schema/decision.ts';
import { type KeptClaims, resolveIssuers } from './schema/issuers/issuers.ts';
import { resolveRoute } from './schema/routes.ts';
import type { Document } from './schema/schema.ts';
import { resolveUpstream, type Upstream } from './schema/upstreams.ts';
import type { Immutable } from './schema/values/shapes.ts';
import type { Secrets } from './secrets.ts';
import type { ListenerCertificate } from './tls-files.ts';

export { providers } from './presets.ts';
export { type Allow, type AllowedParty, requiredScopes } from './schema/allow.ts';
export type { Decision } from './schema/decision.ts';
export type * from './schema/issuers/issuer-values.ts';
export type { Issuer } from './schema/issuers/issuers.ts';
export type { Limit } from './schema/limits.ts';
export type { PolicyTest, TestCaller } from './schema/policy-tests.ts';
export type { AuthMode, Route, Scheme } from './schema/routes.ts';
export type { Upstream } from './schema/upstreams.ts';
export type { Network } from './schema/values/networks.ts';
export type { Certificate, UpstreamTls } from './tls-files.ts';

/** The tolerated clock difference between the gateway, issuers, services and clients. */
export const toleranceMs = 5000;

/** The CORS settings. `headers` and `expose` add to the headers that the gateway itself needs. */
export type Cors = NonNullable<GatewayConfig['cors']>;

/** A valid configuration. It is immutable: a reload creates a new one. */
export type GatewayConfig = Immutable<ReturnType<typeof resolveConfig>>;

type ResolveOptions = Readonly<{
  /** The absolute path of gateway.yaml. */
  file: string;
  /** SHA-256 of the file text, in hex. The text names variables, so the hash reveals no secret. */
  hash: string;
  source: Source;
  secrets: Secrets;
  certificate: ListenerCertificate;
  flat: FlatFile;
  /** `file:line:column` */
  placeOf(path: Path): string;
}>;

/** Turns a valid document into the configuration: names become references, paths become absolute. */
export function resolveConfig(document: Document, options: ResolveOptions) {
  const { file, hash, source, flat, certificate, secrets, placeOf } = options;
  const directory = dirname(file);
  // The certificate has already been read. Its files may change without a restart.
  const { tls: _tls, ...listen } = document.listen;
  const { version: _version, identity, services, httpClient, uploads, headers, ...rest } = document;
  const upstreams = new Map<string, Upstream>(
    Object.entries(document.upstreams).map(([name, part]) => [
      name,
      resolveUpstream(name, part, { identity: known(secrets.identities, name), directory, httpClient }),
    ]),
  );
  const kept = keptClaims(document);
  const named = document.routes.flatMap(({ forward }) => forward.cookies);
  const guarded = new Set(['__host-rt', ...named.map((name) => name.toLowerCase())]);
  return {
    ...rest,
    file,
    hash,
    /** All files that make up the configuration: gateway.yaml, then the files with secrets and the certificate. */
    files: [{ path: file, hash }, ...secrets.files, ...certificate.files],
    /**
     * The file's values without secrets, as JSON. A string passes between threads faster than an object tree.
     */
    redacted: redactedConfig(source),
    listen,
    /** The public listener's certificate. Undefined for plain HTTP. */
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
    },
    dpop: { nonces: secrets.nonces },
    journal: document.journal && resolve(directory, document.journal),
    /** The bearer secrets of transmitters, by the name of the issuer. */
    eventSecrets: secrets.events,
    /** How another proxy asks for decisions. Undefined if none does. */
    decision: document.decision && resolveDecision(document.decision, secrets.decision, certificate.decisionCa),
    services: new Map(
      Object.entries(services).map(([name, { keys }]) => [name, { name, keysFile: resolve(directory, keys) }]),
    ),
    upstreams,
    routes: document.routes.map((part, index) =>
      resolveRoute(part, {
        upstream: known(upstreams, part.upstream),
        hasOrigins: document.publicOrigins.length > 0,
        guarded,
        inherited: flat.inheritedBy(index).map(({ at, ...keys }) => ({ ...keys, at: placeOf(at) })),
      }),
    ),
    uploads: { maxBuffered: undefined, maxBufferedPerAddress: undefined, ...uploads },
    headers: { ...headers, strip: headers.strip.map((name) => name.toLowerCase()) },
    tests: document.tests.map((test, index) => ({ ...test, at: placeOf(['tests', index]) })),
  };
}

function keptClaims({ routes, scopes }: Document): KeptClaims {
  const allows = routes.map(({ allow = {} }) => allow);
  return {
    scopes: new Set([...allows.flatMap(requiredScopes), ...scopes]),
    claims: [...new Set(allows.flatMap(({ claims = {} }) => Object.keys(claims)))],
  };
}

function known<Value>(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name);
  if (value === undefined) throw new Error(`the name ${name} was not checked`);
  return value;
}
