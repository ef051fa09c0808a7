import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Answer, answerOf } from '@countersign/service-kit';
import type { Scheme } from './config/config.ts';
import { AppError, type Code, errorTable } from './errors.ts';
import type { RequestRecord } from './exchange.ts';
import { lingerOver } from './http/lingering.ts';
import { securityHeaders } from './http/security-headers.ts';
import { proofAlgorithms } from './tokens/dpop/dpop-key.ts';

/** The only place that turns an error into HTTP. */
export type Respond = Readonly<{
  /** Answers a request that got no answer yet; breaks the connection off where one had begun. */
  http(thrown: unknown, record: RequestRecord, request: IncomingMessage, response: ServerResponse): void;
  /** Answers on a bare socket, for upgrades and parser errors, and ends it. */
  socket(thrown: unknown, record: RequestRecord, socket: Duplex): void;
}>;

// For a client on a bare socket to read the answer and close its side.
const lingerMs = 2_000;

export function createRespond(): Respond {
  /** What is to be sent, with the record told about it. */
  function answerTo(thrown: unknown, record: RequestRecord): Answer {
    const error = thrown instanceof AppError ? thrown : new AppError('internal_error', { cause: thrown });
    const answer = answerOf(error, errorTable, { id: record.requestId, path: record.path });
    record.code = error.code;
    record.fault = answer.entry.fault;
    if (error.detail !== undefined) record.detail = error.detail;
    if (answer.status >= 500) record.err = error.cause ?? error;
    return {
      ...answer,
      headers: {
        ...securityHeaders,
        ...challengeFor(error.code, record),
        ...answer.headers,
        ...named(record.limits),
        ...named(record.cors),
        ...named(record.nonce),
        'content-length': String(Buffer.byteLength(answer.body)),
        'x-request-id': record.requestId,
      },
    };
  }

  return {
    http(thrown, record, request, response) {
      // Its body was malformed, and the socket has been answered.
      if (record.status !== undefined) return;
      const { status, headers, body } = answerTo(thrown, record);
      if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
      }
      if (request.complete || !hasUnreadBody(request)) {
        response.writeHead(status, headers).end(body);
        return;
      }
      response.writeHead(status, { ...headers, connection: 'close' });
      if (request.method !== 'HEAD') response.write(body);
      lingerOver(request, () => response.end());
    },
    socket(thrown, record, socket) {
      const { status, headers, body } = answerTo(thrown, record);
      record.status = status;
      if (!socket.writable) {
        socket.destroy();
        return;
      }
      const head = Object.entries({ ...headers, connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`);
      // A client that does not close its side keeps nothing of ours.
      const cut = setTimeout(() => socket.destroy(), lingerMs);
      socket.once('close', () => clearTimeout(cut));
      socket.resume();
    },
  };
}

function named(flat: readonly string[] = []): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
  return headers;
}

const hasUnreadBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

const algorithms = `algs="${proofAlgorithms.join(' ')}"`;

/** What only a proof, or a token that is bound, would mend: said under DPoP, whatever the client came with. */
const aboutProofs: Partial<Record<Code, string>> = {
  token_proof_missing: 'invalid_token',
  token_unbound: 'invalid_token',
  token_key_mismatch: 'invalid_token',
  dpop_proof_invalid: 'invalid_dpop_proof',
  dpop_proof_mismatch: 'invalid_dpop_proof',
  dpop_proof_expired: 'invalid_dpop_proof',
  dpop_proof_replayed: 'invalid_dpop_proof',
  dpop_nonce_required: 'use_dpop_nonce',
};

/**
 * `WWW-Authenticate` of a refusal, in the scheme that the client used. Who brought no token is told which scheme would do here, and nothing
 * else: a bare `Bearer`, except where only a bound token would.
 *
 * @see RFC 6750 section 3, RFC 9449 section 7.1
 */
export function challengeFor(
  code: Code,
  { scheme = 'Bearer', schemes = ['Bearer'] }: Pick<RequestRecord, 'scheme' | 'schemes'>,
): Readonly<Record<string, string>> {
  if (code === 'token_missing')
    return { 'www-authenticate': schemes.includes('Bearer') ? 'Bearer' : `DPoP ${algorithms}` };
  if (code === 'insufficient_role') return challenge(scheme, 'insufficient_scope');
  const { status, title } = errorTable[code];
  const proofError = aboutProofs[code];
  if (proofError !== undefined) return challenge('DPoP', proofError, title);
  if (status !== 401) return {};
  // A service proves itself by its signature, for which no scheme is registered; one must be named (RFC 9110 section 15.5.2).
  return code.startsWith('token_') ? challenge(scheme, 'invalid_token', title) : { 'www-authenticate': 'Countersign' };
}

function challenge(scheme: Scheme, error: string, description?: string): Readonly<Record<string, string>> {
  const parameters = [
    `error="${error}"`,
    ...(description === undefined ? [] : [`error_description="${description}"`]),
    ...(scheme === 'DPoP' ? [algorithms] : []),
  ];
  return { 'www-authenticate': `${scheme} ${parameters.join(', ')}` };
}
