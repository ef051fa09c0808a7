import { readFileSync } from 'node:fs';
import { agreementKeyFromJwk } from '@countersign/identity';
import { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration is invalid. `problems` has one sentence for each problem. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * Checks the environment against a schema with variable names as keys. An empty variable counts as unset, so `PORT=`
 * uses the default. `NAME_FILE` reads `NAME` from a file.
 *
 * @throws ConfigError with every problem at once, but without values, because some are secrets.
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: Environment,
): z.infer<z.ZodObject<Shape>> {
  const values: Record<string, string> = {};
  const problems: string[] = [];
  for (const name of Object.keys(schema.shape)) {
    const file = env[`${name}_FILE`];
    const value = env[name];
    if (file !== undefined && file !== '' && value !== undefined && value !== '') {
      problems.push(`${name} and ${name}_FILE are both set: set one`);
    } else if (file !== undefined && file !== '') {
      try {
        values[name] = readFileSync(file, 'utf8').trim();
        if (values[name] === '') problems.push(`${name}_FILE: ${file} is empty: restore it from a backup`);
      } catch (error) {
        problems.push(`${name}_FILE: cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? 'error'})`);
      }
    } else if (value !== undefined && value !== '') {
      values[name] = value;
    }
  }
  const parsed = schema.safeParse(values, { error: allowedBy });
  if (parsed.success && problems.length === 0) return parsed.data;
  for (const issue of parsed.error?.issues ?? []) {
    const name = issue.path.join('.');
    if (problems.some((line) => line.startsWith(name))) continue;
    const file = env[`${name}_FILE`];
    const absent = values[name] === undefined && issue.code === 'invalid_type';
    const source = file === undefined || file === '' ? '' : ` (in ${file})`;
    problems.push(`${name}: ${absent ? 'is required' : issue.message}${source}`);
  }
  throw new ConfigError(problems);
}

/** Describes the allowed values. Zod's own messages do not name a format, and may repeat a value. */
function allowedBy(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${issue.expected === 'int' || issue.expected === 'number' ? 'a whole number' : `a ${issue.expected}`}`;
    case 'invalid_value':
      return `must be ${issue.values
        .map(String)
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1')}`;
    case 'invalid_format':
      return issue.format === 'url' ? 'must be a URL' : undefined;
    case 'too_small':
      return issue.origin === 'string'
        ? `must have at least ${issue.minimum} characters`
        : `must be a whole number of at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    default:
      return undefined;
  }
}

/** A whole number of up to nine decimal digits. Zod's coercion would also accept `1e3`, `0x10` and spaces. */
export function wholeNumber(min: number, max: number, what = 'a whole number') {
  const error = `must be ${what} from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error });
}

/** A TCP port. With 0 the system chooses one, for tests. */
export const port = (fallback: number) => wholeNumber(0, 65_535, 'a port').default(fallback);

export const milliseconds = (fallback: number) => wholeNumber(0, 600_000, 'a number of milliseconds').default(fallback);

/** A secret's UTF-8 bytes, as in gateway.yaml. At least 32. */
const sharedSecret = z
  .string()
  .refine((text) => Buffer.byteLength(text) >= 32, 'must have at least 32 bytes')
  .transform((text) => Buffer.from(text));

/** A private key. The parser's own message could quote it. */
export const privateKey = <Key>(parse: (text: string) => Key, message: string) =>
  z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch {
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
  });

function readAgreementKeys(text: string): readonly unknown[] {
  const parsed = JSON.parse(text);
  const jwks: readonly unknown[] = Array.isArray(parsed.keys) ? parsed.keys : [parsed];
  jwks.forEach(agreementKeyFromJwk);
  return jwks;
}

const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((value) => value === 'true');

/** Variables for every service. Spread them into the service's schema. */
export const commonConfig = {
  HOST: z.string().default('127.0.0.1'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  NODE_ENV: z.enum(['development', 'production', 'test']).default('development'),
  COUNTERSIGN_HOME: z.string().default('.countersign'),
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
  /** What to do while Redis is unavailable: refuse with 503, or check replays only within this process. */
  REPLAY_WITHOUT_REDIS: z.enum(['refuse', 'memory']).default('refuse'),
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
  DRAIN_DELAY_MS: milliseconds(500),
  SHUTDOWN_GRACE_MS: milliseconds(10_000),
};

export type CommonConfig = z.infer<z.ZodObject<typeof commonConfig>>;

/** Returns the URL where the gateway publishes the keys that sign identity. */
export function gatewayKeysUrl(config: Pick<CommonConfig, 'GATEWAY_KEYS_URL' | 'GATEWAY_INTERNAL_PORT'>): string {
  return config.GATEWAY_KEYS_URL ?? `http://127.0.0.1:${config.GATEWAY_INTERNAL_PORT}/.well-known/jwks.json`;
}
