export type Failure = 'unreachable' | 'untrusted' | 'timeout' | 'queue' | 'closed' | 'invalid' | 'other';

const failures: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  UPSTREAM_CLOSED: 'closed',
  UPSTREAM_CONNECT_TIMEOUT: 'timeout',
  UPSTREAM_HEAD_TIMEOUT: 'timeout',
  UPSTREAM_BODY_TIMEOUT: 'timeout',
  UPSTREAM_QUEUE_TIMEOUT: 'queue',
  UPSTREAM_INVALID_RESPONSE: 'invalid',
  UPSTREAM_RESPONSE_TOO_LARGE: 'invalid',
};

/** What an error says of the service, by its code. */
export function failureOf(error: unknown): Failure {
  const { code } = error as { code?: string };
  if (code === undefined) return 'other';
  return failures[code] ?? (/^ERR_(SSL|TLS)_|CERT|SELF_SIGNED|SIGNATURE/.test(code) ? 'untrusted' : 'other');
}
