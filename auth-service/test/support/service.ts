import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '@countersign/process-kit';
import { eventually } from '@countersign/testing';
import request from 'supertest';
import { readAuthConfig } from '../../src/config.ts';
import { type RunningService, startOn } from '../../src/service.ts';
import type { AuthDatabase } from '../../src/store/transaction.ts';
import type { TestGateway } from './gateway.ts';
import { peppers, ring } from './people.ts';
import { testServiceKey } from './service-key.ts';

export const issuer = 'https://id.example.test';

/** The environment of every instance in these tests. */
export const serviceEnv = (gateway: TestGateway): Record<string, string> => ({
  AUTH_ISSUER: issuer,
  AUTH_SIGNING_KEK: ring('kek', 3),
  AUTH_PASSWORD_PEPPERS: peppers,
  AUTH_REFRESH_MAC_KEYS: ring('mac', 2),
  AUTH_BCRYPT_COST: '4',
  AUTH_HASH_QUEUE: '500',
  GATEWAY_KEYS_URL: gateway.keysUrl,
  DRAIN_DELAY_MS: '0',
  AUTH_OPERATOR_SOCKET: 'off',
  SERVICE_KEY: testServiceKey(),
  // No service listens on this port: these tests do not need another service.
  GATEWAY_INTERNAL_URL: 'http://127.0.0.1:9',
  COUNTERSIGN_HOME: join(tmpdir(), `countersign-auth-test-${process.pid}`),
});

/** The complete service on its own port, ready. It closes the database when it stops. */
export async function startService(
  db: AuthDatabase,
  gateway: TestGateway,
  logger: Logger,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<RunningService> {
  const config = readAuthConfig({ AUTH_PORT: '0', ...serviceEnv(gateway), ...env });
  const service = await startOn(config, { db, logger });
  await eventually(async () => {
    const { status, text } = await request(`http://127.0.0.1:${service.port}`).get('/readyz');
    if (status !== 200) throw new Error(text);
  });
  return service;
}
