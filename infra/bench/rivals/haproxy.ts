import { execFileSync } from 'node:child_process';

/** @returns HAProxy's version. Undefined if it is not installed, or too old for `jwt_verify` (2.5). */
export function haproxyVersion(): string | undefined {
  try {
    const [, version = ''] = /version (\S+)/.exec(execFileSync('haproxy', ['-v'], { encoding: 'utf8' })) ?? [];
    return Number.parseFloat(version) >= 2.5 ? version : undefined;
  } catch {
    return undefined;
  }
}

/** One thread. Verifies RS256 on every request, and checks `aud` and `exp`. HAProxy keeps no verified tokens. */
export function haproxyConfig(
  options: Readonly<{ port: number; upstreamOrigin: string; publicKeyFile: string; audience: string }>,
): string {
  const { port, upstreamOrigin, publicKeyFile, audience } = options;
  return `global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout connect 2s
  timeout server 30s
frontend public
  bind 127.0.0.1:${port}
  http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')
  http-request set-var(txn.aud) http_auth_bearer,jwt_payload_query('$.aud')
  http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.aud) -m str ${audience} }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify(txn.alg,"${publicKeyFile}") -m int 1 }
  default_backend service
backend service
  http-reuse always
  server service ${new URL(upstreamOrigin).host}
`;
}
