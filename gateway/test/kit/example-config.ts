import type { GatewayConfig } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/load.ts';

/** A minimal configuration, without `routes`. */
export const exampleHead = `version: 1
issuers:
  - issuer: http://127.0.0.1:8080
    audience: complaints-api
    jwks: http://127.0.0.1:8081/.well-known/jwks.json
    algorithms: [ES256]
identity: { keys: ./gateway-keys }
upstreams:
  users-service: { targets: ["http://127.0.0.1:8082"] }
`;

export const exampleRoutes = `routes:
  - { name: me, path: /v1/users/me, methods: [GET], upstream: users-service, auth: required }
`;

/**
 * @param rest YAML after {@link exampleHead}: `routes`, and more if a test needs it.
 * @param issuer One more key of the issuer.
 */
export function exampleConfig(rest = exampleRoutes, env: Record<string, string> = {}, issuer = ''): GatewayConfig {
  const head = exampleHead.replace('[ES256]', `[ES256]\n    ${issuer}`);
  return parseConfig((issuer === '' ? exampleHead : head) + rest, { file: '/etc/countersign/gateway.yaml', env });
}
