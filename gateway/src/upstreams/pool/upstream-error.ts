import { AppError, type Code, errorTable } from '../../errors.ts';

/** Error codes from the system, our client and undici. undici's parser errors have a name but no code. */
const causes: Partial<Record<Code, string>> = {
  upstream_unreachable: 'ECONNREFUSED ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH EADDRNOTAVAIL',
  upstream_timeout:
    'ETIMEDOUT UPSTREAM_CONNECT_TIMEOUT UPSTREAM_HEAD_TIMEOUT UPSTREAM_BODY_TIMEOUT ' +
    'UND_ERR_HEADERS_TIMEOUT UND_ERR_BODY_TIMEOUT',
  upstream_broken: 'ECONNRESET EPIPE UPSTREAM_CLOSED UND_ERR_SOCKET',
  upstream_invalid_response:
    'UPSTREAM_INVALID_RESPONSE UPSTREAM_RESPONSE_TOO_LARGE HTTPParserError ' +
    'UND_ERR_HEADERS_OVERFLOW UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
};
const codes = new Map(
  Object.entries(causes).flatMap(([code, names]) => names.split(' ').map((name) => [name, code as Code])),
);

/** Whether an error counts against the service, and not against a client or the gateway. */
export const blamesUpstream = (code: Code): boolean =>
  errorTable[code].fault === 'upstream' || errorTable[code].fault === 'configuration';

/** The service is unreachable or does not respond. After any other error, it did. */
export const isOutage = (code: Code): boolean => code === 'upstream_unreachable' || code === 'upstream_timeout';

/** By the error's own code, never by its text. `isConnected` means that there was a connection, including TLS. */
export function toUpstreamError(
  error: unknown,
  { isConnected, ...detail }: Readonly<{ upstream: string; target: string; isConnected: boolean }>,
): AppError {
  if (error instanceof AppError) return error;
  return new AppError(codeFor(firstError(error), isConnected), { cause: error, detail });
}

/** A host name with several addresses fails with one error for each address. */
const firstError = (error: unknown): unknown => (error instanceof AggregateError ? error.errors[0] : error);

function codeFor(cause: unknown, isConnected: boolean): Code {
  const { name: kind, code: name = kind } = (cause ?? {}) as { name?: unknown; code?: unknown };
  if (typeof name !== 'string') return 'internal_error';
  if (isTlsFailure(name)) return 'upstream_untrusted';
  if (!isConnected) return codeWithoutConnection(name);
  // The error comes from Node's parser, which reads the responses to upgrades.
  return name.startsWith('HPE_') ? 'upstream_invalid_response' : (codes.get(name) ?? 'internal_error');
}

/** An error that neither the system nor the service reported is our bug, and must not count against a target. */
function codeWithoutConnection(name: string): Code {
  if (codes.get(name) === 'upstream_timeout') return 'upstream_timeout';
  return /^E(?!RR_)/.test(name) || name === 'UPSTREAM_CLOSED' ? 'upstream_unreachable' : 'internal_error';
}

/** One side refused the other's certificate, or they share no TLS version or cipher. Names are OpenSSL's. */
const isTlsFailure = (name: string): boolean =>
  name.startsWith('ERR_SSL_') ||
  name.startsWith('ERR_TLS_') ||
  /(^|_)(CERT|CERTIFICATE|ISSUER|CRL|CA)(_|$)/.test(name) ||
  name === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';
