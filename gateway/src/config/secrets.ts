import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { isPublishedSecret } from '@countersign/identity';
import { whyUnreadable } from '@countersign/process-kit';
import { standardKey } from '@countersign/signals';
import type { Path, Source } from '@countersign/strict-yaml';
import type { CheckedFile, Refuse, UpstreamPieces } from './checks/cross-checks.ts';
import { type FileRead, hashOf, readNamedFile } from './files.ts';
import type { Document } from './schema/schema.ts';
import type { UpstreamIdentity } from './schema/upstreams.ts';

/** The signing settings of each upstream, the other secrets, and the files that they were read from. */
export type Secrets = ReturnType<typeof readSecrets>;

const minSecretBytes = 32;

/**
 * Reads the hmac secrets of all upstreams, the DPoP nonce secret, and the secrets of the deciding proxy, events and
 * introspection. A secret is the bytes of its text, without a file's trailing newline. It must not stand in gateway.yaml,
 * not even as a variable's default, because the file is not secret. Two upstreams must not share a secret, because
 * each service could then impersonate callers to the other.
 */
export function readSecrets(
  { upstreams, dpop, decision, issuers, directory, unread }: CheckedFile,
  source: Source,
  refuse: Refuse,
) {
  const files: FileRead[] = [];
  const reader = { source, directory, owners: new Map<string, string>(), files, refuse, unread };
  const events = issuers.flatMap(({ name, events: parts }, index) => {
    const readPart = (key: 'sharedSignals' | 'webhook' | 'revoke') => {
      const given = parts?.[key];
      if (given === undefined) return [];
      const path = ['issuers', index, 'events', key];
      const owner = key === 'sharedSignals' ? `events of ${name}` : `${key} of ${name}`;
      // A provider may choose a shorter one.
      const minBytes = key === 'webhook' ? 24 : undefined;
      return readAll({ path, owner, needs: 'secret', given, minBytes }, ['secret', 'previousSecret'], reader);
    };
    if (parts === undefined || name === undefined) return [];
    const webhook = readPart('webhook');
    const isStandard = parts.webhook?.format.verify.kind === 'standard' && unread === undefined;
    if (isStandard && webhook.map(standardKey).includes(undefined)) {
      const message = 'must be of Standard Webhooks: `whsec_`, then 24 to 64 bytes in base64, or `whpk_` and a key';
      refuse(['issuers', index, 'events', 'webhook'], message);
    }
    return [[name, { sharedSignals: readPart('sharedSignals'), webhook, revoke: readPart('revoke') }] as const];
  });
  return {
    identities: new Map(
      Object.entries(upstreams).flatMap(([name, { identity }]) => {
        const read = identity && identityOf(name, identity, reader);
        return read === undefined ? [] : [[name, read] as const];
      }),
    ),
    /** The gateway issues each nonce for `lifetimeSec`, and also accepts the previous one. */
    nonces: dpop?.nonces && noncesOf(dpop.nonces, reader),
    decision: readAll(
      { path: ['decision'], owner: 'decision', given: decision ?? {} },
      ['secret', 'secretNext'],
      reader,
    ),
    /** By issuer name. */
    events: new Map(events),
    /** The secrets with which issuers are asked about opaque tokens, by the index of the issuer. */
    introspection: issuers.map(({ introspection: given }, index) => {
      if (given === undefined) return undefined;
      // The provider chose it, so its length and its other uses are not checked.
      const place = { path: ['issuers', index, 'introspection'], owner: '', needs: 'clientSecret', given } as const;
      const bytes = readText(place, 'clientSecret', reader);
      return bytes && new Uint8Array(bytes);
    }),
    files,
  };
}

type Reader = Readonly<{
  source: Source;
  directory: string;
  owners: Map<string, string>;
  files: FileRead[];
  refuse: Refuse;
  unread: Set<string> | undefined;
}>;

function identityOf(
  name: string,
  given: NonNullable<UpstreamPieces[string]['identity']>,
  reader: Reader,
): UpstreamIdentity | undefined {
  const { algorithm, headers, token } = given;
  if (algorithm !== 'hmac-sha256') return { algorithm, headers, token };
  const place = { path: ['upstreams', name, 'identity'], owner: name, needs: 'secret', given } as const;
  const secret = readSecret(place, 'secret', reader);
  const next = readSecret(place, 'next', reader);
  return secret && { algorithm, headers, token, secret, next };
}

function noncesOf(given: NonNullable<Document['dpop']['nonces']>, reader: Reader) {
  const place = { path: ['dpop', 'nonces'], owner: 'dpop.nonces', needs: 'secret', given } as const;
  const secret = readSecret(place, 'secret', reader);
  return secret && { secret, lifetimeSec: given.lifetime };
}

type Key = 'secret' | 'next' | 'secretNext' | 'previousSecret' | 'clientSecret';

/** The map that contains secrets. `needs` is the required key. */
type Place = Readonly<{
  path: Path;
  owner: string;
  needs?: Key;
  minBytes?: number | undefined;
  given: { readonly [Each in Key | `${Key}File`]?: string | undefined };
}>;

const readAll = (place: Place, keys: readonly Key[], reader: Reader): readonly Uint8Array[] =>
  keys.flatMap((key) => readSecret(place, key, reader) ?? []);

function readSecret(place: Place, key: Key, reader: Reader): Uint8Array | undefined {
  const bytes = readText(place, key, reader);
  if (bytes === undefined) return undefined;
  const refuse = (message: string) => reader.refuse(pathOf(place, key), message);
  const { minBytes = minSecretBytes } = place;
  if (bytes.length < minBytes) return refuse(`must be at least ${minBytes} bytes`);
  if (isPublishedSecret(bytes)) return refuse('must be secret, but this one is published with test vectors');
  if (new Set(bytes).size < 8) return refuse('must be random, but this one consists of a few repeated characters');
  const owner = reader.owners.get(bytes.toString('base64'));
  if (owner !== undefined) return refuse(`is the same as ${owner}: every secret must be different`);
  reader.owners.set(bytes.toString('base64'), `${place.owner}'s ${key}`);
  // Not a Buffer, which would not equal the Uint8Array in a configuration that another thread loaded.
  return new Uint8Array(bytes);
}

const pathOf = ({ path, given }: Place, key: Key): Path => [...path, given[key] === undefined ? `${key}File` : key];

function readText(place: Place, key: Key, reader: Reader): Buffer | undefined {
  const [text, file] = [place.given[key], place.given[`${key}File`]];
  const path = pathOf(place, key);
  const refuse = (message: string) => reader.refuse(path, message);
  if (text === undefined && file === undefined) {
    const message = `"${key}" or "${key}File" is required: set "${key}" from a variable, or "${key}File" to a path`;
    if (key === place.needs) reader.refuse(place.path, message, { absent: key });
    return undefined;
  }
  if (text !== undefined && file !== undefined)
    return refuse(`"${key}" and "${key}File" are both set: remove one of them`);
  if (text !== undefined && reader.source.originOf(path) !== 'variable') {
    return refuse(`must come from a variable without a default, such as "\${COMPLAINT_SECRET}", or from "${key}File"`);
  }
  if (reader.unread !== undefined) {
    if (file !== undefined) reader.unread.add(file);
    return createHash('sha256').update(JSON.stringify(path)).digest();
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
