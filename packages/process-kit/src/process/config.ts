import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { whyUnreadable } from './why-unreadable.ts';

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
    const { [`${name}_FILE`]: file, [name]: value } = env;
    if (file && value) problems.push(`${name} and ${name}_FILE are both set: set one`);
    else if (value) values[name] = value;
    else if (file) {
      try {
        values[name] = readFileSync(file, 'utf8').trim();
        if (values[name] === '') problems.push(`${name}_FILE: ${file} is empty: restore it from a backup`);
      } catch (error) {
        problems.push(`${name}_FILE: ${file} ${whyUnreadable(error)}`);
      }
    }
  }
  const parsed = schema.safeParse(values, { error: allowedBy });
  if (parsed.success && problems.length === 0) return parsed.data;
  for (const issue of parsed.error?.issues ?? []) {
    const name = issue.path.join('.');
    if (problems.some((line) => line.startsWith(name))) continue;
    const file = env[`${name}_FILE`];
    const absent = values[name] === undefined && issue.code === 'invalid_type';
    const source = file ? ` (in ${file})` : '';
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

/** Origins as browsers send them in `Origin`. Rejects `null` and wildcards. */
export const originList = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .refine(
    (origins) => origins.every((entry) => URL.canParse(entry) && new URL(entry).origin === entry),
    'must be comma-separated origins like https://app.example.com',
  );

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

export const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((value) => value === 'true');

/** Variables for every process. Spread them into its schema. */
export const processConfig = {
  HOST: z.string().default('127.0.0.1'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  NODE_ENV: z.enum(['development', 'production', 'test']).default('development'),
  COUNTERSIGN_HOME: z.string().default('.countersign'),
  DRAIN_DELAY_MS: milliseconds(500),
  SHUTDOWN_GRACE_MS: milliseconds(10_000),
};
