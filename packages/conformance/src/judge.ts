import { isDeepStrictEqual } from 'node:util';
import type { LiveCase } from './renew.ts';
import type { Answer } from './send.ts';

/** A fault is a wrong decision. A note is one that callers see otherwise than the contract says, or that HTTP made. */
export type Judgement = Readonly<{ kind: 'right' } | { kind: 'fault' | 'note'; message: string; section?: number }>;

const right: Judgement = { kind: 'right' };

/** The sections of docs/identity-contract.md that explain a refusal. */
const sections: Readonly<Record<string, number>> = {
  target_malformed: 4,
  header_alias: 2,
  signature_missing: 3,
  signature_malformed: 3,
  tag_mismatch: 3,
  content_digest_missing: 6,
  content_digest_mismatch: 6,
};
const sectionOf = (reason: string) => sections[reason] ?? 7;

/** What HTTP lets a server resolve before any handler sees it: names of vectors, and where it says so. */
export const resolvedByServers: ReadonlyMap<string, string> = new Map([
  ['header_duplicated: a repeated content-length', 'RFC 9110 section 8.6'],
  ['header_duplicated: a repeated content-length on a GET', 'RFC 9110 section 8.6'],
  ['header_duplicated: content-type, repeated', 'RFC 9110 section 8.3'],
  ['header_duplicated: two content-types on a GET', 'RFC 9110 section 8.3'],
  ['header_malformed: content-length and transfer-encoding', 'RFC 9112 section 6.3'],
  ['header_malformed: content-length "17, 17"', 'RFC 9110 section 8.6'],
]);

/**
 * Compares what a service answered with what the contract says.
 *
 * @param cutsAtSpace Whether the service's HTTP server ends a target at a space.
 */
export function judge(
  { name, request, identity, refused, exempt }: LiveCase,
  answer: Answer,
  cutsAtSpace = false,
): Judgement {
  const { status } = answer;
  const reason = answer.headers.get('x-identity-refused');
  if (exempt) {
    const isVerified = status === 401 || reason !== undefined || answer.headers.has('x-identity-unavailable');
    const message = `was refused with ${status}, but needs no identity`;
    return isVerified ? { kind: 'fault', message, section: 1 } : right;
  }
  if (refused === undefined) return judgeAccepted(request.method, identity, answer);
  const section = sectionOf(refused);
  if (status >= 200 && status < 300) {
    const isCut = cutsAtSpace && request.target.includes(' ');
    const allowedBy = resolvedByServers.get(name) ?? (isCut ? 'RFC 9112 section 3' : undefined);
    if (allowedBy !== undefined) {
      const message = `was accepted: an HTTP server may resolve it before the verifier sees it (${allowedBy})`;
      return { kind: 'note', message, section };
    }
    return { kind: 'fault', message: `was accepted, but must be refused: ${refused}`, section };
  }
  if (isOfHttpServer(answer)) return right;
  if (status >= 500) {
    return { kind: 'fault', message: `was answered with ${status}, but must be refused with 401: ${refused}`, section };
  }
  if (status === 401 && reason === refused) return right;
  const got = reason === undefined ? `${status} without x-identity-refused` : `${status} with ${reason}`;
  return { kind: 'note', message: `was refused with ${got} in place of 401 with ${refused}`, section: 8 };
}

/**
 * Judges a connection that was closed without a status line. A server may refuse a target before it has read the
 * version of HTTP behind it. Tomcat then answers as HTTP/0.9 does: with the page of an error alone.
 *
 * @param received What the service sent.
 */
export function judgeClosed({ refused }: Pick<LiveCase, 'refused'>, received: string): Judgement {
  const isEcho = parsed(received) !== undefined;
  if (refused === 'target_malformed' && !isEcho)
    return { kind: 'note', message: 'was refused by the HTTP server without a status', section: sectionOf(refused) };
  return { kind: 'fault', message: 'got no response: the connection was closed without a response', section: 8 };
}

/** Judges the response to a refused request, beside its reason. */
export function judgeForm({ headers, body }: Answer): Judgement {
  if (!/\bno-store\b/i.test(headers.get('cache-control') ?? ''))
    return { kind: 'fault', message: 'lacks cache-control: no-store, so a cache could store it', section: 8 };
  const problem = Object(parsed(body)) as Readonly<Record<string, unknown>>;
  const differs = [
    headers.get('content-type') !== 'application/problem+json' && 'content-type',
    headers.get('www-authenticate') !== 'Countersign' && 'www-authenticate',
    problem.code !== 'identity_refused' && 'code',
    (problem.request_id === undefined || problem.request_id !== headers.get('x-request-id')) && 'x-request-id',
  ].filter((name) => name !== false);
  return differs.length === 0 ? right : { kind: 'note', message: `has another ${differs.join(', ')}`, section: 8 };
}

function judgeAccepted(method: string, identity: unknown, { status, headers, body }: Answer): Judgement {
  const reason = headers.get('x-identity-refused') ?? headers.get('x-identity-unavailable');
  if (isOfHttpServer({ status, headers, body })) {
    return { kind: 'note', message: `was refused by the HTTP server or router with ${status}`, section: 4 };
  }
  if (status < 200 || status >= 300) {
    const got = reason === undefined ? '' : ` (${reason})`;
    return { kind: 'fault', message: `was refused with ${status}${got}, but is valid`, section: 7 };
  }
  if (method === 'HEAD' || isDeepStrictEqual(parsed(body), identity)) return right;
  const message = `was accepted with another identity: ${body.slice(0, 300)}, not ${JSON.stringify(identity)}`;
  return { kind: 'fault', message, section: 2 };
}

/**
 * An HTTP server or a router may refuse what it does not take for a valid request before the verifier sees it. 501 is
 * for methods and transfer codings that it does not know (RFC 9112 section 6.1).
 */
const isOfHttpServer = ({ status, headers }: Answer): boolean =>
  [400, 404, 405, 414, 415, 431, 501].includes(status) && !headers.has('x-identity-refused');

function parsed(body: string): unknown {
  try {
    // The body was read as one character for each byte.
    return JSON.parse(Buffer.from(body, 'latin1').toString());
  } catch {
    return undefined;
  }
}
