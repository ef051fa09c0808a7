import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createFile } from '@countersign/process-kit';
import { type Document, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { ensureAuthSecrets, ensureGatewayKey, ensureServiceKey } from '../run/secrets.ts';

/** The services that sign calls to others. */
export const callers = ['auth-service', 'complaint-service'] as const;

/** A copy of infra/gateway.yaml that uses the container names of the processes. */
export function containerGateway(): Document {
  const document: Document = parseDocument(readFileSync(resolve(import.meta.dirname, '../gateway.yaml'), 'utf8'));
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: variables of gateway.yaml
  const publicUrl = '${PUBLIC_URL:-http://127.0.0.1:8080}';
  // The port is published only on this machine.
  const origins = [publicUrl, 'http://localhost:${GATEWAY_PORT:-8080}'];
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: variables of gateway.yaml
  const values: readonly (readonly [path: readonly (string | number)[], value: unknown])[] = [
    [['listen', 'public'], '0.0.0.0:8080'],
    [['listen', 'admin'], '0.0.0.0:9090'],
    [['listen', 'internal'], '0.0.0.0:8090'],
    [['publicOrigins'], document.createNode(origins, { flow: true })],
    // No other process can reach the containers' network.
    [['insecureTransport'], true],
    [['identity', 'keys'], './gateway-keys'],
    [['issuers', 0, 'issuer'], publicUrl],
    [['issuers', 0, 'jwks'], 'http://auth-service:8081/.well-known/jwks.json'],
    [['issuers', 0, 'revocations', 'url'], 'http://auth-service:8081/internal/revocations'],
    [['upstreams', 'auth-service', 'targets'], ['http://auth-service:8081']],
    [['upstreams', 'users-service', 'targets'], ['http://users-service:8082']],
    [['upstreams', 'complaint-service', 'targets'], ['http://complaint-service:8083']],
    [['upstreams', 'web', 'targets'], ['http://web:8084']],
    ...callers.map((name) => [['services', name, 'keys'], `./service-keys/${name}.jwks.json`] as const),
  ];
  for (const [path, value] of values) document.setIn(path, value);
  // The example services and the demonstration are not among the containers.
  const absent = ['my-service', 'mcp-server', 'echo'];
  for (const name of absent) document.deleteIn(['upstreams', name]);
  const routes = document.get('routes') as YAMLSeq<YAMLMap>;
  routes.items = routes.items.filter((route) => !absent.includes(String(route.get('upstream'))));
  return document;
}

/**
 * Creates the keys and secrets that are missing.
 *
 * @param gatewayHome Where the gateway's keys are.
 * @param databaseUrl By default the database of the containers.
 * @returns A function that creates another secret, unless it exists.
 */
export function ensureContainerSecrets(directory: string, gatewayHome = directory, databaseUrl?: string) {
  ensureAuthSecrets(directory);
  ensureGatewayKey(gatewayHome);
  for (const name of callers) ensureServiceKey(directory, name);
  const secret = (name: string, text: string) => void createFile(join(directory, 'secrets', name), text, 0o600);
  secret('complaint-webhook-key', `${randomBytes(32).toString('base64url')}\n`);
  secret('postgres-password', randomBytes(24).toString('base64url'));
  const password = readFileSync(join(directory, 'secrets', 'postgres-password'), 'utf8').trim();
  secret('database-url', databaseUrl ?? `postgres://postgres:${password}@postgres:5432/postgres`);
  return secret;
}
