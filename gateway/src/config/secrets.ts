import { resolve } from 'node:path';
import { isPublishedSecret } from '@countersign/identity';
import type { Path, Source } from '@countersign/strict-yaml';
import { type FileRead, hashOf, readNamedFile, whyUnreadable } from './files.ts';
import type { Refuse } from './schema/cross-checks.ts';
import type { DecisionPieces } from './schema/decision.ts';
import type { DpopPart } from './schema/dpop.ts';
import type { IssuerPieces } from './schema/issuers/issuers.ts';
import type { UpstreamIdentity, UpstreamPieces } from './schema/upstreams.ts';

/** The signing settings of each upstream, the other secrets, and the files that they were read from. */
export type Secrets = Readonly<{
  identities: ReadonlyMap<string, UpstreamIdentity>;
  /** The gateway issues each nonce for `lifetimeSec`, and also accepts the previous one. */
  nonces: Readonly<{ secret: Uint8Array; lifetimeSec: number }> | undefined;
  /** The secrets that the proxy may send: the current one and the next one. */
  decision: readonly Uint8Array[];
  /** The secrets that an event transmitter may send, current and previous, by issuer name. */
  events: ReadonlyMap<string, readonly Uint8Array[]>;
  /** The secrets with which issuers are asked about opaque tokens, by the index of the issuer. */
  introspection: readonly (Uint8Array | undefined)[];
  files: readonly FileRead[];
}>;

const minSecretBytes = 32;

type SecretPieces = Readonly<{
  upstreams: UpstreamPieces;
  dpop?: DpopPart | undefined;
  decision?: DecisionPieces | undefined;
  issuers?: readonly IssuerPieces[] | undefined;
}>;

/**
 * Reads the hmac secrets of all upstreams, the DPoP nonce secret, and the secrets of the deciding proxy, events and
 * introspection. A secret is the bytes of its text, without a file's trailing newline. It must not stand in gateway.yaml,
 * not even as a variable's default, because the file is not secret. Two upstreams must not share a secret, because
 * each service could then impersonate callers to the other.
 */
export function readSecrets(
  { upstreams, dpop, decision, issuers = [] }: SecretPieces,
  source: Source,
  directory: string,
  refuse: Refuse,
): Secrets {
  const identities = new Map<string, UpstreamIdentity>();
  const files: FileRead[] = [];
  const reader = { source, directory, owners: new Map<string, string>(), files, refuse };
  for (const [name, upstream] of Object.entries(upstreams)) {
    const identity = identityOf(name, upstream, reader);
    if (identity !== undefined) identities.set(name, identity);
  }
  return {
    identities,
    nonces: noncesOf(dpop, reader),
    decision: decisionSecrets(decision, reader),
    events: eventSecrets(issuers, reader),
    introspection: issuers.map((issuer, index) => clientSecretOf(issuer, index, reader)),
    files,
  };
}

type Reader = {
  readonly source: Source;
  readonly directory: string;
  readonly owners: Map<string, string>;
  readonly files: FileRead[];
  readonly refuse: Refuse;
};

function identityOf(name: string, { identity }: UpstreamPieces[string], reader: Reader): UpstreamIdentity | undefined {
  if (identity === undefined) return undefined;
  if (identity.algorithm !== 'hmac-sha256') return { algorithm: identity.algorithm };
  const at = { path: ['upstreams', name, 'identity'], owner: name, needs: 'secret' } as const;
  const secret = readSecret(at, 'secret', identity, reader);
  const next = readSecret(at, 'next', identity, reader);
  return secret === undefined ? undefined : { algorithm: 'hmac-sha256', secret, next };
}

function noncesOf(dpop: DpopPart | undefined, reader: Reader): Secrets['nonces'] {
  if (dpop?.nonces === undefined) return undefined;
  const at = { path: ['dpop', 'nonces'], owner: 'dpop.nonces', needs: 'secret' } as const;
  const secret = readSecret(at, 'secret', dpop.nonces, reader);
  return secret && { secret, lifetimeSec: dpop.nonces.lifetime };
}

function decisionSecrets(decision: DecisionPieces | undefined, reader: Reader): Secrets['decision'] {
  const at = { path: ['decision'], owner: 'decision' };
  return (['secret', 'secretNext'] as const).flatMap((key) => readSecret(at, key, decision ?? {}, reader) ?? []);
}

function eventSecrets(issuers: readonly IssuerPieces[], reader: Reader): Secrets['events'] {
  const secrets = issuers.flatMap(({ name, events }, index) => {
    const signals = events?.sharedSignals;
    if (signals === undefined || name === undefined) return [];
    const path = ['issuers', index, 'events', 'sharedSignals'];
    const at = { path, owner: `events of ${name}`, needs: 'secret' } as const;
    const all = (['secret', 'previousSecret'] as const).flatMap((key) => readSecret(at, key, signals, reader) ?? []);
    return [[name, all] as const];
  });
  return new Map(secrets);
}

/** The provider chose it, so its length and its other uses are not checked. */
function clientSecretOf({ introspection }: IssuerPieces, index: number, reader: Reader): Uint8Array | undefined {
  if (introspection === undefined) return undefined;
  const at = { path: ['issuers', index, 'introspection'], owner: '', needs: 'clientSecret' } as const;
  const bytes = readText(at, 'clientSecret', introspection, reader);
  return bytes && new Uint8Array(bytes);
}

/** `needs` is the required key. */
type Place = Readonly<{ path: Path; owner: string; needs?: Key }>;

type Key = 'secret' | 'next' | 'secretNext' | 'previousSecret' | 'clientSecret';
type Given = { readonly [Each in Key | `${Key}File`]?: string | undefined };

/** Reads a secret that both sides share, and refuses a weak one. */
function readSecret(place: Place, key: Key, given: Given, reader: Reader): Uint8Array | undefined {
  const bytes = readText(place, key, given, reader);
  if (bytes === undefined) return undefined;
  const path = [...place.path, given[key] === undefined ? `${key}File` : key];
  const refuse = (message: string) => {
    reader.refuse(path, message);
    return undefined;
  };
  if (bytes.length < minSecretBytes) return refuse(`must be at least ${minSecretBytes} bytes`);
  if (isPublishedSecret(bytes)) return refuse('must be secret, but this one is published with test vectors');
  if (new Set(bytes).size < 8) return refuse('must be random, but this one consists of a few repeated characters');
  const owner = reader.owners.get(bytes.toString('base64'));
  if (owner !== undefined) return refuse(`is the same as ${owner}: every secret must be different`);
  reader.owners.set(bytes.toString('base64'), `${place.owner}'s ${key}`);
  // Not a Buffer, which would not equal the Uint8Array in a configuration that another thread loaded.
  return new Uint8Array(bytes);
}

function readText({ path: parent, needs }: Place, key: Key, given: Given, reader: Reader): Buffer | undefined {
  const [text, file] = [given[key], given[`${key}File`]];
  const path = [...parent, text === undefined ? `${key}File` : key];
  const refuse = (message: string) => {
    reader.refuse(path, message);
    return undefined;
  };
  if (text === undefined && file === undefined) {
    const message = `"${key}" or "${key}File" is required: set "${key}" from a variable, or "${key}File" to a path`;
    if (key === needs) reader.refuse(parent, message, { absent: key });
    return undefined;
  }
  if (text !== undefined && file !== undefined)
    return refuse(`"${key}" and "${key}File" are both set: remove one of them`);
  if (text !== undefined && reader.source.originOf(path) !== 'variable') {
    return refuse(`must come from a variable without a default, such as "\${COMPLAINT_SECRET}", or from "${key}File"`);
  }
  const bytes = text === undefined ? readFile(file ?? '', reader) : Buffer.from(text);
  if (typeof bytes === 'string') return refuse(bytes);
  return bytes.length === 0 ? refuse('is empty') : bytes;
}

function readFile(file: string, { directory, files }: Reader): Buffer | string {
  const path = resolve(directory, file);
  try {
    const bytes = readNamedFile(path);
    files.push({ path, hash: hashOf(bytes) });
    return Buffer.from(bytes.toString('utf8').replace(/\r?\n$/, ''));
  } catch (error) {
    return whyUnreadable(error);
  }
}
