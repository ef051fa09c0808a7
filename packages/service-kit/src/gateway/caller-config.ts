import { statSync } from 'node:fs';
import { defaultGatewayName, idPattern, serviceKeyFromJwk, whyNotPrivate } from '@countersign/identity';
import { z } from 'zod';
import { type CommonConfig, ConfigError, type Environment, privateKey } from '../process/config.ts';

/**
 * Variables for a service that calls other services. Spread them into its schema, and call {@link assertPrivateKeyFile}
 * after reading.
 */
export const callerConfig = {
  GATEWAY_INTERNAL_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** `identity.name` of gateway.yaml. */
  GATEWAY_NAME: z.string().regex(idPattern).default(defaultGatewayName),
  SERVICE_KEY: privateKey((text) => serviceKeyFromJwk(JSON.parse(text)), 'must be an ed25519 private JWK with a kid'),
};

type CallerConfig = z.infer<z.ZodObject<typeof callerConfig>>;

/**
 * Checks the permissions of `SERVICE_KEY_FILE`, because any process that can read the key can call the gateway as this
 * service.
 *
 * @throws ConfigError if others have access to the file, see `whyNotPrivate`.
 */
export function assertPrivateKeyFile({ SERVICE_KEY_FILE: file }: Environment): void {
  const open = file ? whyNotPrivate(statSync(file)) : undefined;
  if (open !== undefined) throw new ConfigError([`SERVICE_KEY_FILE: ${file}: ${open}`]);
}

/** Returns the URL of the gateway's internal listener, which forwards requests between services. */
export function gatewayInternalUrl(
  config: Pick<CallerConfig, 'GATEWAY_INTERNAL_URL'> & Pick<CommonConfig, 'GATEWAY_INTERNAL_PORT'>,
): string {
  return config.GATEWAY_INTERNAL_URL ?? `http://127.0.0.1:${config.GATEWAY_INTERNAL_PORT}`;
}
