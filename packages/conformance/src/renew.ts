import { createHash, randomBytes } from 'node:crypto';
import type { RunKeys } from './run-keys.ts';
import { headerOf, type Pair, readVectors, type Vector, type VectorRequest } from './vectors.ts';

/** A request to send now, and the ones to send before it. */
export type LiveCase = Readonly<{
  name: string;
  before: readonly VectorRequest[];
  request: VectorRequest;
  /** The expected result: an identity, or the reason of the refusal. */
  identity?: unknown;
  refused?: string;
  exempt?: true;
}>;

/** How a probe differs from the vector that it renews. Times in Unix seconds. Default key: as in the vector. */
type Change = Readonly<{
  createdSec: number;
  lifetimeSec: number;
  kid?: string;
  sign?: ((base: string) => Buffer) | undefined;
}>;

/** Texts of a vector, changed to this run. */
type Rewrite = (text: string) => string;

const file = readVectors();
const inputGrammar = /^countersign=(\((?:"[^"]*"(?: (?=")|(?=\))))*\).*)$/s;
const signatureGrammar = /^countersign=:([^:]*):$/;

/**
 * Signs the vectors anew, for the present clock, the audience of a service, and the keys of a run.
 *
 * A vector keeps its fault. If the vectors' key made its signature, the new key signs the changed request. If the
 * signature belongs to another vector, because the request was changed after signing, the new signature is that of the
 * other vector too. Any other signature stays as it is.
 */
export function createRenewal(keys: RunKeys, audience: string) {
  const bases = new Map<string, string>();
  for (const vector of file.vectors) {
    for (const request of [vector.request, ...(vector.requests_before ?? [])]) remember(request);
  }

  function remember(request: VectorRequest): void {
    const base = baseOf(request);
    const signature = signatureOf(request);
    if (base === undefined || signature === undefined || bases.has(signature)) return;
    if (keys.signers.some((signer) => signer.made(base, Buffer.from(signature, 'base64')))) bases.set(signature, base);
  }

  function renewed(request: VectorRequest, rewrite: Rewrite, sign?: Change['sign']): VectorRequest {
    const signature = signatureOf(request);
    const base = signature === undefined ? undefined : bases.get(signature);
    const headers = request.headers.map(([name, value]): Pair => {
      const header = name.toLowerCase();
      if (header === 'signature-input') return [name, rewrite(value)];
      if (header === 'x-identity-audience' && value.trim() === file.verifier.audience)
        return [name, value.replace(value.trim(), audience)];
      if (header === 'content-length' && /^\d+$/.test(value)) return [name, String(bytesOf(request).length)];
      const signer = base && keys.signers.find(({ made }) => made(base, Buffer.from(signature ?? '', 'base64')));
      if (header !== 'signature' || !signer || base === undefined || signature === undefined) return [name, value];
      return [name, value.replace(signature, sameForm(signature, (sign ?? signer.sign)(rewrite(base))))];
    });
    return { ...request, headers: withoutOwnLines(headers) };
  }

  /** How one vector's texts change: each has nonces of its own. */
  function createRewrite(rewriteTimes: Rewrite, kidOf: Rewrite = keys.kidOf): Rewrite {
    const nonceOf = createCipher();
    const audienceLine = `"x-identity-audience": ${file.verifier.audience}\n`;
    return (text) =>
      rewriteTimes(text)
        .replace(audienceLine, `"x-identity-audience": ${audience}\n`)
        .replaceAll(/(?<=;nonce=")[^"]*/g, nonceOf)
        .replaceAll(/(?<=;keyid=")[^"]*/g, kidOf);
  }

  return {
    /** All vectors that a running service can be asked about. */
    vectors: file.vectors.filter((vector) => whyNotLive(vector, audience) === undefined),
    /** How many vectors it cannot be asked about, by the reason. */
    leftOut: Map.groupBy(file.vectors, (vector) => whyNotLive(vector, audience)),
    /** @param nowSec Unix seconds when the case is sent. */
    renew(vector: Vector, nowSec: number): LiveCase {
      const { name, request, requests_before = [], delivered_before, identity, refused, exempt } = vector;
      const shiftSec = nowSec - vector.now + (slackSec[refused ?? ''] ?? 0);
      const later = (seconds: string) => {
        const [zeros = ''] = /^0*(?=\d)/.exec(seconds) ?? [];
        // A time that is not near the vector's clock is the fault of the vector.
        return Math.abs(Number(seconds) - vector.now) < 1_000_000 ? `${zeros}${Number(seconds) + shiftSec}` : seconds;
      };
      const rewrite = createRewrite((text) => text.replaceAll(/(?<=;(?:created|expires)=)\d+/g, later));
      const sent = renewed(request, rewrite);
      const before = requests_before.map((one) => renewed(one, rewrite));
      return {
        name,
        before: [...before, ...Array.from({ length: delivered_before }, () => sent)],
        request: sent,
        ...(exempt ? { exempt } : refused === undefined ? { identity } : { refused }),
      };
    },
    /** A request of this vector that is valid for other seconds, or signed with another key. */
    change({ request }: Vector, { createdSec, lifetimeSec, kid, sign }: Change): VectorRequest {
      const times = `;created=${createdSec};expires=${createdSec + lifetimeSec}`;
      const rewriteTimes = (text: string) => text.replaceAll(/;created=\d+;expires=\d+/g, times);
      return renewed(request, createRewrite(rewriteTimes, kid === undefined ? undefined : () => kid), sign);
    },
  };
}

// A case at the edge of the tolerance would change its result while it is sent. A memory of nonces refuses what expired
// more than 15 s ago, so a longer time would hide a verifier that never looks at `expires`.
const slackSec: Readonly<Record<string, number>> = { created_in_future: 20, expired: -3 };

/** Why a running service cannot be asked about this vector. */
function whyNotLive(vector: Vector, audience: string): string | undefined {
  const { request, requests_before = [], stream, memory_began } = vector;
  if (stream) return 'the echo route has no streams';
  if (memory_began !== 0) return 'the service would have to restart';
  const named = headerOf(request, 'x-identity-audience');
  if (named === audience && named !== file.verifier.audience)
    return 'it names another audience, which is the tested one';
  if ([request, ...requests_before].some(usesSecret)) return 'the service has no secret';
  return whyNotSendable(request) ?? whyAtEdge(vector);
}

const secretKeyids = new Set(file.keys.secrets.map(({ keyid }) => keyid));
const usesSecret = (request: VectorRequest) => secretKeyids.has(inputParameter(request, 'keyid') ?? '');

/** Leaves out two lines of many: the connection adds `Host` and `Connection`, and 257 lines must stay 257. */
const withoutOwnLines = (headers: readonly Pair[]) =>
  headers.length < 200 ? headers : headers.filter(([name]) => name !== 'y-0' && name !== 'y-1');

/** Why this request cannot be written on a connection as it is, beside the lines of the connection's own. */
function whyNotSendable(request: VectorRequest): string | undefined {
  const { method, target, headers } = request;
  if (!/^[!#-'*+.0-9A-Z^-z|~-]+$/.test(method)) return 'the method is not a token';
  if ([target, ...headers.flat()].some((text) => /[\r\n]/.test(text))) return 'a line feed ends a line';
  if (headers.some(([name]) => name.includes(':'))) return 'a colon ends a name';
  if (/[-_]/.test(signatureOf(request) ?? '')) return 'base64url differs only for some signatures';
  if ((headerOf(request, 'signature-input') ?? '').length > 1_000) return 'the kids of a run are longer';
  const length = headerOf(request, 'content-length') ?? '0';
  return length !== '0' && bytesOf(request).length === 0 ? 'the announced body is missing' : undefined;
}

/** A service that started a moment ago, or whose clock differs by a second, decides otherwise at the edges. */
function whyAtEdge({ now, request, identity, refused }: Vector): string | undefined {
  if (identity === undefined && refused !== 'replayed') return undefined;
  const created = Number(inputParameter(request, 'created'));
  const isWithin = now === created && now < Number(inputParameter(request, 'expires'));
  return isWithin ? undefined : 'the time is at an edge';
}

const inputParameter = (request: VectorRequest, name: string) =>
  new RegExp(`;${name}="?([^";]*)`).exec(headerOf(request, 'signature-input') ?? '')?.[1];

/** The signature base, as RFC 9421 section 2.5 makes it from the components that the request names. */
function baseOf(request: VectorRequest): string | undefined {
  const raw = inputGrammar.exec(headerOf(request, 'signature-input') ?? '')?.[1];
  if (raw === undefined) return undefined;
  const list = raw.slice(0, raw.indexOf(')'));
  const lines = [...list.matchAll(/"([^"]*)"/g)].map(([, name = '']) => `"${name}": ${componentOf(request, name)}\n`);
  return `${lines.join('')}"@signature-params": ${raw}`;
}

function componentOf(request: VectorRequest, name: string): string {
  const [path = '', query] = request.target.split(/(?=\?)(.*)/s, 2);
  if (name === '@method') return request.method;
  if (name === '@path') return path;
  if (name === '@query') return query ?? '?';
  return headerOf(request, name) ?? '';
}

const bytesOf = ({ body_base64 }: VectorRequest) => Buffer.from(body_base64, 'base64');

/** Base64 with the same mistake as that of the vector: no padding, or unused bits that are set. */
function sameForm(old: string, bytes: Buffer): string {
  const canonical = Buffer.from(old, 'base64').toString('base64');
  const fresh = bytes.toString('base64');
  if (old === canonical) return fresh;
  if (old === canonical.replace(/=+$/, '')) return fresh.replace(/=+$/, '');
  return fresh.replace(/.(?==*$)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
}

const signatureOf = (request: VectorRequest): string | undefined =>
  signatureGrammar.exec(headerOf(request, 'signature') ?? '')?.[1];

/** A new nonce for each, with the same length and kinds of characters. Nonces that differ only in case still do. */
function createCipher(): (nonce: string) => string {
  const key = randomBytes(16);
  return (nonce) => {
    const bytes = createHash('sha256').update(key).update(nonce).digest();
    const pick = (characters: string) => (_old: string, at: number) =>
      characters.charAt((bytes[at % bytes.length] ?? 0) % characters.length);
    return nonce
      .replaceAll(/[a-z]/g, pick('abcdefghijklmnopqrstuvwxyz'))
      .replaceAll(/[A-Z]/g, pick('ABCDEFGHIJKLMNOPQRSTUVWXYZ'))
      .replaceAll(/[0-9]/g, pick('0123456789'));
  };
}
