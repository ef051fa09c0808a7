import { statSync } from 'node:fs';
import {
  type CallService,
  defaultGatewayName,
  idPattern,
  type ServiceCallerOptions,
  serviceCaller,
  serviceKeyFromJwk,
  whyNotPrivate,
} from '@countersign/identity';
import { ConfigError, type Environment, privateKey } from '@countersign/process-kit';
import { inClientSpan, traceHeaders } from '@countersign/tracing';
import { z } from 'zod';
import type { CommonConfig } from './common-config.ts';

/** Variables of a service that calls other services. Call {@link assertPrivateKeyFile} after reading them. */
export const callerConfig = {
  GATEWAY_INTERNAL_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** `identity.name` of gateway.yaml. */
  GATEWAY_NAME: z.string().regex(idPattern).default(defaultGatewayName),
  SERVICE_KEY: privateKey((text) => serviceKeyFromJwk(JSON.parse(text)), 'must be an ed25519 private JWK with a kid'),
};

type CallerConfig = z.infer<z.ZodObject<typeof callerConfig>>;

/** @throws ConfigError if others have access to `SERVICE_KEY_FILE`: they could call the gateway as this service. */
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

/** Creates a `callService()` like {@link serviceCaller} whose calls are spans of the request that makes them. */
export function tracedCaller(options: Omit<ServiceCallerOptions, 'headers'>): CallService {
  const callService = serviceCaller({ ...options, headers: traceHeaders });
  return (call) => inClientSpan(call.method, options.gatewayUrl, () => callService(call));
}
