import { statSync } from 'node:fs';
import { type ServiceKey, serviceKeyFromJwk } from '@countersign/identity';
import { ConfigError, commonConfig, type Environment, port, readConfig } from '@countersign/service-kit';
import { z } from 'zod';

const schema = z.object({
  ...commonConfig,
  COMPLAINTS_PORT: port(8083),
  COMPLAINTS_DATABASE_URL: z.url().optional(),
  GATEWAY_INTERNAL_URL: z.url({ protocol: /^https?$/ }).optional(),
  SERVICE_KEY: z.string().transform(toServiceKey),
});

export type ComplaintsConfig = z.infer<typeof schema>;

/** @throws ConfigError with every problem at once. */
export function readComplaintsConfig(env: Environment): ComplaintsConfig {
  const config = readConfig(schema, env);
  const { SERVICE_KEY_FILE: keyFile } = env;
  // Who reads it is this service, as far as the gateway can tell.
  if (keyFile && (statSync(keyFile).mode & 0o077) !== 0) {
    throw new ConfigError([`SERVICE_KEY_FILE: others may read ${keyFile}. chmod 600 it`]);
  }
  return config;
}

/** The gateway's internal listener, through which this service calls others. */
export function gatewayInternalUrl(config: ComplaintsConfig): string {
  return config.GATEWAY_INTERNAL_URL ?? `http://127.0.0.1:${config.GATEWAY_INTERNAL_PORT}`;
}

function toServiceKey(text: string, context: z.RefinementCtx): ServiceKey {
  try {
    return serviceKeyFromJwk(JSON.parse(text));
  } catch {
    // What was wrong with it could quote it.
    context.addIssue({ code: 'custom', message: 'must be an ed25519 private JWK with a kid' });
    return z.NEVER;
  }
}
