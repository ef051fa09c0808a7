import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { componentList, secretKeyid, signatureBase, signBase } from '../src/contract/rfc9421.ts';
import { contentDigest, type IdentityClaims, prepareIdentity, type SigningKey, signRequest } from '../src/index.ts';
import { allowPublishedKeys } from '../src/keys/published-keys.ts';

allowPublishedKeys();

/** 2027-01-15T08:00:00Z */
export const nowSec = 1_800_000_000;
export const audience = 'complaint-service';
export const nonce = 'AAECAwQFBgcICQoLDA0ODw';
export const requestId = '01a2b3c4-d5e6-7f80-9102-a3b4c5d6e7f8';

/** The published test key of RFC 8037 appendix A. Its private key is public, so it is useless in production. */
export const ed25519Jwk = {
  kty: 'OKP',
  crv: 'Ed25519',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
};
export const secret = Buffer.from('countersign test vectors: a secret everybody knows', 'latin1');

const privateKey = createPrivateKey({ key: ed25519Jwk, format: 'jwk' });
export const publicKey: KeyObject = createPublicKey(privateKey);
export const edKey: SigningKey = { algorithm: 'ed25519', keyid: 'ed-1', privateKey };
export const hmacKey: SigningKey = { algorithm: 'hmac-sha256', keyid: secretKeyid(secret), secret };
export const { d: _private, ...publicJwk } = { ...ed25519Jwk, kid: 'ed-1', alg: 'EdDSA', use: 'sig' };

export const user: IdentityClaims = {
  kind: 'user',
  userId: 'u-1',
  role: 'agent',
  tenantId: 'acme',
  context: { iss: 'https://issuer.example', sid: 's-1', authTime: 1_799_999_000, amr: ['pwd', 'otp'] },
};

export type Pair = readonly [name: string, value: string];

export type Message = {
  method: string;
  target: string;
  /** Every header as sent, in order, with the signature headers last. */
  headers: Pair[];
  body: Buffer;
};

export type Draft = {
  key?: SigningKey;
  as?: IdentityClaims;
  audience?: string;
  method?: string;
  target?: string;
  body?: string;
  contentType?: string;
  txnToken?: string;
  createdSec?: number;
  lifetimeSec?: number;
  nonce?: string;
  upgrade?: { protocol: string; key: string };
  /** No digest, as on a route with `body: { mode: stream }`. */
  streamed?: boolean;
  /** Adds a digest to a GET. */
  digested?: true;
  /** Omits `content-length`, as HTTP/2 allows. */
  unannounced?: true;
};

/** Builds a request as the gateway sends it. */
export function genuine(draft: Draft = {}): Message {
  const { method = 'GET', target = '/v1/complaints?status=open', body = '', contentType, txnToken, upgrade } = draft;
  const [path = '', query] = target.split(/(?=\?)(.*)/s, 2);
  const bytes = Buffer.from(body);
  const digested = draft.digested ?? (draft.streamed !== true && method !== 'GET' && method !== 'HEAD');
  const signed = signRequest(
    draft.key ?? edKey,
    prepareIdentity(draft.as ?? user, draft.audience ?? audience),
    {
      method,
      path,
      query: query ?? '',
      requestId,
      ip: '192.0.2.7',
      ...(contentType !== undefined && { contentType }),
      ...(digested && { contentDigest: contentDigest(bytes) }),
      ...(txnToken !== undefined && { txnToken }),
      ...(upgrade !== undefined && { upgrade }),
    },
    { createdSec: draft.createdSec ?? nowSec, lifetimeSec: draft.lifetimeSec ?? 30, nonce: draft.nonce ?? nonce },
  );
  const headers: Pair[] = [];
  if (bytes.length > 0 && draft.unannounced !== true) headers.push(['content-length', String(bytes.length)]);
  if (contentType !== undefined) headers.push(['content-type', contentType]);
  if (upgrade !== undefined) headers.push(['upgrade', upgrade.protocol], ['sec-websocket-key', upgrade.key]);
  return { method, target, headers: [...headers, ...signed], body: bytes };
}

export const unsigned = ({ headers }: Message): Pair[] =>
  headers.filter(([name]) => name !== 'signature' && name !== 'signature-input');

/**
 * Signs any components with any parameters, ignoring the contract. The signature is valid, so a refusal shows that the
 * verifier checks the rule itself.
 */
export function forged(
  message: Message,
  forgery: { components?: string[]; params?: string; key?: SigningKey; sign?: (base: string) => Buffer },
): Message {
  const key = forgery.key ?? edKey;
  const headers = unsigned(message);
  const components = forgery.components ?? componentsOf(message);
  const params = forgery.params ?? standardParams({ keyid: key.keyid, alg: key.algorithm });
  const raw = `${componentList(components)}${params}`;
  const lines = components.map((name) => `"${name}": ${componentValue(message, name)}\n`).join('');
  const { sign = (base) => signBase(key, base) } = forgery;
  const signature = sign(signatureBase(lines, raw)).toString('base64');
  return {
    ...message,
    headers: [...headers, ['signature-input', `countersign=${raw}`], ['signature', `countersign=:${signature}:`]],
  };
}

export function standardParams(
  over: Partial<Record<'created' | 'expires' | 'nonce' | 'keyid' | 'alg' | 'tag', string | number>> = {},
): string {
  const { created = nowSec, expires = nowSec + 30, keyid = 'ed-1', alg = 'ed25519', tag = 'countersign-v1' } = over;
  return `;created=${created};expires=${expires};nonce="${over.nonce ?? nonce}";keyid="${keyid}";alg="${alg}";tag="${tag}"`;
}

/** The components that this message's signature covers. */
export function componentsOf(message: Message): string[] {
  const input = message.headers.find(([name]) => name === 'signature-input')?.[1] ?? '';
  return [...input.matchAll(/"([^"]+)"(?=[ )])/g)].map(([, name = '']) => name);
}

export function componentValue({ method, target, headers }: Message, name: string): string {
  const [path = '', query] = target.split(/(?=\?)(.*)/s, 2);
  if (name === '@method') return method;
  if (name === '@path') return path;
  if (name === '@query') return query ?? '?';
  return headers.find(([header]) => header === name)?.[1] ?? '';
}

export function withHeader(message: Message, name: string, value: string): Message {
  const headers = message.headers.map(([known, old]): Pair => [known, known === name ? value : old]);
  return { ...message, headers };
}

export function without(message: Message, name: string): Message {
  return { ...message, headers: message.headers.filter(([known]) => known !== name) };
}

export function plus(message: Message, ...headers: Pair[]): Message {
  return { ...message, headers: [...message.headers, ...headers] };
}
