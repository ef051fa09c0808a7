import { statSync } from 'node:fs';
import { type ServiceKey, serviceKeyFromJwk } from '@countersign/identity';
import { z } from 'zod';
import { type CommonConfig, ConfigError, type Environment } from '../process/config.ts';

/** What a service reads that calls others. Spread into its own schema, and {@link assertPrivateKeyFile} after reading. */
export const callerConfig = {
  GATEWAY_INTERNAL_URL: z.url({ protocol: /^https?$/ }).optional(),
  SERVICE_KEY: z.string().transform(toServiceKey),
};

type CallerConfig = z.infer<z.ZodObject<typeof callerConfig>>;

/** @throws ConfigError when others may read the file of the key: who reads it is this service, as far as the gateway can tell. */
export function assertPrivateKeyFile({ SERVICE_KEY_FILE: file }: Environment): void {
  if (file && (statSync(file).mode & 0o077) !== 0) {
    throw new ConfigError([`SERVICE_KEY_FILE: others may read ${file}. chmod 600 it`]);
  }
}

/** The gateway's internal listener, through which a service calls others. */
export function gatewayInternalUrl(
  config: Pick<CallerConfig, 'GATEWAY_INTERNAL_URL'> & Pick<CommonConfig, 'GATEWAY_INTERNAL_PORT'>,
): string {
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
