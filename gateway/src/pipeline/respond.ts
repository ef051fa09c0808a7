import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Answer, answerOf, discardBody, respondOnSocket } from '@countersign/process-kit';
import type { Scheme } from '../config/config.ts';
import { AppError, type Code, errorTable } from '../errors.ts';
import { hasBody, headersFrom } from '../http/header-fields.ts';
import { securityHeaders } from '../http/security-headers.ts';
import { proofAlgorithms } from '../tokens/dpop-proof.ts';
import { type RequestRecord, recordFailure } from './request-record.ts';

export function responseFor(thrown: unknown, record: RequestRecord): Answer {
  const error = thrown instanceof AppError ? thrown : new AppError('internal_error', { cause: thrown });
  const response = answerOf(error, errorTable, { id: record.requestId, path: record.path, docs: record.docs });
  recordFailure(record, error);
  if (error.detail !== undefined) record.detail = error.detail;
  if (response.status >= 500) record.err = error.cause ?? error;
  return {
    ...response,
    headers: {
      ...securityHeaders,
      ...challengeFor(error.code, record),
      ...response.headers,
      ...headersFrom(record.limits),
      ...headersFrom(record.cors),
      ...headersFrom(record.nonce),
      'content-length': String(Buffer.byteLength(response.body)),
      'x-request-id': record.requestId,
    },
  };
}

/** Changes how a refusal looks, for example into a page. */
export type FormatRefusal = (refusal: Answer, request: IncomingMessage) => Answer;

/** The only place that turns an error into an HTTP response. */
export const respond = {
  /** Responds to a request that has no response yet. If a response has started, closes the connection instead. */
  http(
    thrown: unknown,
    record: RequestRecord,
    request: IncomingMessage,
    response: ServerResponse,
    format: FormatRefusal = (refusal) => refusal,
  ): void {
    // The client disconnected, or the body was malformed and the response has already been written to the socket.
    if (record.isLogged || record.status !== undefined) return;
    const { status, headers, body } = format(responseFor(thrown, record), request);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    if (request.complete || !hasBody(request)) {
      response.writeHead(status, headers).end(body);
      return;
    }
    response.writeHead(status, { ...headers, connection: 'close' });
    if (request.method !== 'HEAD') response.write(body);
    discardBody(request, () => response.end());
  },
  /** Responds on a raw socket, for upgrades and parser errors, and closes it. */
  socket(thrown: unknown, record: RequestRecord, socket: Duplex): void {
    if (record.isLogged) return;
    const refusal = responseFor(thrown, record);
    record.status = refusal.status;
    respondOnSocket(socket, refusal);
  },
};

/** Only a proof or a bound token would fix these, so the challenge uses DPoP, whatever the client used. */
function proofErrorOf(code: Code): string | undefined {
  if (code === 'dpop_nonce_required') return 'use_dpop_nonce';
  if (code.startsWith('dpop_proof_')) return 'invalid_dpop_proof';
  const isUnproven = code === 'token_proof_missing' || code === 'token_unbound' || code === 'token_key_mismatch';
  return isUnproven ? 'invalid_token' : undefined;
}

type Challenged = Pick<RequestRecord, 'scheme' | 'schemes' | 'scopes' | 'metadata' | 'host' | 'path'>;

/**
 * Builds a refusal's `WWW-Authenticate`, in the scheme that the client used. Without a token, it names the scheme that
 * the route accepts: Bearer, or DPoP if the route accepts only bound tokens. Every challenge on the public listener
 * names the resource metadata, if there is any.
 *
 * @see RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section 5.1
 */
export function challengeFor(code: Code, record: Challenged): Readonly<Record<string, string>> {
  const { scheme = 'Bearer', schemes = ['Bearer'] } = record;
  if (code === 'token_missing')
    return challenge(schemes.includes('Bearer') ? 'Bearer' : 'DPoP', record, scopeOf(record));
  if (code === 'insufficient_role') return challenge(scheme, record, { error: 'insufficient_scope' });
  if (code === 'insufficient_scope') return challenge(scheme, record, { error: code, ...scopeOf(record) });
  const { status, title } = errorTable[code];
  const proofError = proofErrorOf(code);
  if (proofError !== undefined) return challenge('DPoP', record, { error: proofError, error_description: title });
  if (status !== 401) return {};
  // A 401 must name a scheme (RFC 9110 section 15.5.2), but no scheme is registered for services that authenticate
  // with a signature.
  if (!code.startsWith('token_')) return { 'www-authenticate': 'Countersign' };
  return challenge(scheme, record, { error: 'invalid_token', error_description: title });
}

/** Returns the route's scopes, so that a client can request a sufficient token. */
const scopeOf = ({ scopes }: Challenged): Readonly<Record<string, string>> =>
  scopes === undefined || scopes === 'any' ? {} : { scope: scopes.join(' ') };

function challenge(
  scheme: Scheme,
  { metadata, host, path }: Challenged,
  parameters: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const all = {
    ...parameters,
    ...(scheme === 'DPoP' && { algs: proofAlgorithms.join(' ') }),
    ...(metadata && { resource_metadata: metadata.urlFor(host, path) }),
  };
  // No value contains a quote or a backslash: our titles have none, and scopes and paths cannot have any.
  const text = Object.entries(all).map(([name, value]) => `${name}="${value}"`);
  return { 'www-authenticate': text.length === 0 ? scheme : `${scheme} ${text.join(', ')}` };
}
