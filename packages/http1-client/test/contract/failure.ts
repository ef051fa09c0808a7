export type Failure = 'unreachable' | 'untrusted' | 'timeout' | 'closed' | 'invalid' | 'other';

const failures: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  UPSTREAM_CLOSED: 'closed',
  UPSTREAM_CONNECT_TIMEOUT: 'timeout',
  UPSTREAM_HEAD_TIMEOUT: 'timeout',
  UPSTREAM_BODY_TIMEOUT: 'timeout',
  UPSTREAM_INVALID_RESPONSE: 'invalid',
  UPSTREAM_RESPONSE_TOO_LARGE: 'invalid',
  HTTPParserError: 'invalid',
  UND_ERR_SOCKET: 'closed',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_OVERFLOW: 'invalid',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'invalid',
};

/** Classifies an error by its code. */
export function failureOf(error: unknown): Failure {
  // undici's parser errors have a name and no code.
  const { name, code = name } = error as Error & { code?: string };
  return failures[code] ?? (/^ERR_(SSL|TLS)_|CERT|SELF_SIGNED|SIGNATURE/.test(code) ? 'untrusted' : 'other');
}
