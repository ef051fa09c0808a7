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

/** @param rest YAML after {@link exampleHead}: `routes`, and more if a test needs it. */
export function exampleConfig(rest = exampleRoutes, env: Record<string, string> = {}): GatewayConfig {
  return parseConfig(exampleHead + rest, { file: '/etc/countersign/gateway.yaml', env });
}
