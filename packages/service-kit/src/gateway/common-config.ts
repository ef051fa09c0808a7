import { agreementKeyFromJwk } from '@countersign/identity';
import { flag, port, privateKey, processConfig } from '@countersign/process-kit';
import { z } from 'zod';

/** A secret's UTF-8 bytes, as in gateway.yaml. At least 32. */
const sharedSecret = z
  .string()
  .refine((text) => Buffer.byteLength(text) >= 32, 'must have at least 32 bytes')
  .transform((text) => Buffer.from(text));

function readAgreementKeys(text: string): readonly unknown[] {
  const parsed = JSON.parse(text);
  const jwks: readonly unknown[] = Array.isArray(parsed.keys) ? parsed.keys : [parsed];
  for (const jwk of jwks) agreementKeyFromJwk(jwk);
  return jwks;
}

/** Variables for every service. Spread them into the service's schema. */
export const commonConfig = {
  ...processConfig,
  GATEWAY_INTERNAL_PORT: port(8090),
  GATEWAY_KEYS_URL: z.url().optional(),
  /** Whether GATEWAY_KEYS_URL can be plain http to another machine in production. */
  GATEWAY_INSECURE_TRANSPORT: flag,
  /** The current secret, and the next one during rotation, if the gateway signs for this service with `hmac-sha256`. */
  GATEWAY_SECRET: sharedSecret.optional(),
  GATEWAY_SECRET_NEXT: sharedSecret.optional(),
  /** For `algorithm: agreed` in gateway.yaml: a directory for the keys that this service creates, or `memory`. */
  AGREEMENT_KEYS: z.string().optional(),
  /** Replaces AGREEMENT_KEYS: a private JWK, or a set of them whose first one is published. */
  AGREEMENT_KEY: privateKey(
    readAgreementKeys,
    'must be an X25519 private JWK for key agreement, or a set of them',
  ).optional(),
  /** What to do while Redis is unavailable, see `RedisReplayOptions.onUnavailable`. */
  REPLAY_WITHOUT_REDIS: z.enum(['reads', 'refuse', 'memory']).default('reads'),
  DATABASE_URL: z.url().optional(),
  DATABASE_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,30}$/, 'must be lower-case letters, digits and _')
    .default('countersign'),
  REDIS_URL: z.url().optional(),
  /** The base URL of a collector that accepts OTLP over HTTP. If unset, nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  /** Whether the collector's URL can be plain http to another machine. */
  OTEL_EXPORTER_OTLP_INSECURE: flag,
};

export type CommonConfig = z.infer<z.ZodObject<typeof commonConfig>>;

/** Returns the URL where the gateway publishes the keys that sign identity. */
export function gatewayKeysUrl(config: Pick<CommonConfig, 'GATEWAY_KEYS_URL' | 'GATEWAY_INTERNAL_PORT'>): string {
  return config.GATEWAY_KEYS_URL ?? `http://127.0.0.1:${config.GATEWAY_INTERNAL_PORT}/.well-known/jwks.json`;
}
