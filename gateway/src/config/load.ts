import { getFips } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { ConfigError, type Environment } from '@countersign/process-kit';
import { type Path, parseYaml, readYaml, type Source, type Written } from '@countersign/strict-yaml';
import { z } from 'zod';
import { type CheckedFile, type Refuse, type StartSettings, withCrossChecks } from './checks/cross-checks.ts';
import { checkDecision } from './checks/decision-checks.ts';
import { checkIdentityTokens } from './checks/identity-token-checks.ts';
import { checkIssuers } from './checks/issuer-checks.ts';
import { checkJournal, checkListeners, checkRedis, checkStartSettings } from './checks/listen-checks.ts';
import { problemsIn, warningsIn } from './checks/problems.ts';
import { checkRoutes } from './checks/route-checks.ts';
import { checkTests, namesIn } from './checks/test-checks.ts';
import { checkUpstreams } from './checks/upstream-checks.ts';
import { type GatewayConfig, type PolicyTest, resolveConfig } from './config.ts';
import { hashOf, type ListenerCertificate, readConfigFile, readListenerCertificate } from './files.ts';
import { Placeholders } from './placeholders.ts';
import { type FlatFile, flattenRoutes, valueAt } from './route-groups.ts';
import { plainMessages } from './schema/messages.ts';
import { type Document, schema } from './schema/schema.ts';
import { readSecrets, type Secrets } from './secrets.ts';
import { warningsOf } from './warnings.ts';

/**
 * Reads a gateway.yaml.
 *
 * @param file Relative to the working directory, or absolute; `-` is standard input. Errors show it unchanged.
 * @param context What is known about the process that will use the configuration.
 * @throws ConfigError that lists every problem as `file:line:column: the problem, and the allowed values`.
 */
export function loadConfig(file: string, env: Environment, context: LoadContext = {}): GatewayConfig {
  return parseConfig(readConfigFile(file), { file, env, ...context });
}

export type LoadContext = Readonly<{
  /** The settings of the running gateway that a reload cannot change. A file that changes them is refused. */
  running?: StartSettings;
  workers?: number;
  /** Whether Node runs in FIPS mode. Default: asks Node. */
  isFips?: boolean;
  /** Called with the warnings of a valid file. By default, warnings are not checked. */
  onWarnings?(lines: readonly string[]): void;
}>;

type ParseOptions = LoadContext & Readonly<{ file: string; env: Environment }>;

/** Like {@link loadConfig}, for text that has already been read. */
export function parseConfig(text: string, { env, ...options }: ParseOptions): GatewayConfig {
  const isProduction = env.NODE_ENV === 'production';
  return configOf(text, readSource(readYaml(text, env), { ...options, isProduction, unread: undefined })).config;
}

/**
 * Reads a gateway.yaml without its variables, secrets, certificates and keys: variables have their defaults or
 * placeholders, and no file that the configuration names is opened.
 *
 * @throws ConfigError like {@link loadConfig}.
 */
export function loadWithoutFiles(file: string, context: WithoutFiles = {}): Outline {
  const text = readConfigFile(file);
  const placeholders = new Placeholders(text, context.env);
  const sourceWith = parseYaml(text);
  for (;;) {
    const unread = new Set<string>();
    const { isProduction = false } = context;
    const read = readSource(sourceWith(placeholders.env), { file, ...context, isProduction, unread });
    const { parsed, source, flat } = read;
    if (!parsed.success && placeholders.revise(parsed.error.issues, source, flat)) continue;
    const { config, document } = configOf(text, read);
    const { identity, services, journal } = document;
    const later = [identity.keys, ...Object.values(services).map(({ keys }) => keys), journal ?? []].flat();
    const { used, standIns } = placeholders;
    return {
      config,
      document,
      variables: [...used].sort(),
      variablesAt: (path) => variablesAt(path, source, flat),
      standIns: [...standIns],
      files: [...later, ...unread],
    };
  }
}

export type WithoutFiles = Omit<LoadContext, 'running'> &
  Readonly<{
    isProduction?: boolean;
    /** Variables whose values are known. Default: none. */
    env?: Environment;
  }>;

/** A configuration, the variables that it uses, and the files that it names, as they stand in it. Neither was read. */
export type Outline = Readonly<{
  config: GatewayConfig;
  document: Document;
  variables: readonly string[];
  /** Returns the variables at a path of `document` and inside, as written. Undefined if there are none. */
  variablesAt(path: Path): Written | undefined;
  /** The variables that have a placeholder: without a default, and not in `env`. */
  standIns: readonly string[];
  files: readonly string[];
}>;

function variablesAt(path: Path, source: Source, flat: FlatFile): Written | undefined {
  const [key, , name] = path;
  const at = flat.pathInFile(path);
  if (key !== 'routes' || name !== 'path') return source.variablesAt(at);
  // The path of a route begins with the paths of its groups.
  const parts = at.flatMap((_, end) => (end % 2 === 0 && end > 0 ? [[...at.slice(0, end), name]] : []));
  const written = parts.map((one) => source.variablesAt(one) ?? valueAt(source.value, one) ?? '');
  return parts.some((one) => source.variablesAt(one) !== undefined) ? written.join('') : undefined;
}

type ReadOptions = Omit<ParseOptions, 'env'> & Pick<CheckedFile, 'isProduction' | 'unread'>;

function readSource(source: Source, options: ReadOptions) {
  const { file, running, workers = 1, isFips = getFips() === 1, isProduction, unread } = options;
  const flat = flattenRoutes(source);
  const known = { directory: dirname(resolve(file)), running, workers, isFips, isProduction, unread };
  let secrets: Secrets | undefined;
  let certificate: ListenerCertificate | undefined;
  const checked = withCrossChecks(schema, (wellFormed, isMalformed, refuse) => {
    const whole: CheckedFile = { ...wellFormed, ...known, isMalformed };
    certificate = readListenerCertificate(whole, refuse);
    secrets = readSecrets(whole, source, refuse);
    for (const check of checks) check(whole, refuse);
  });
  const parsed = checked.safeParse(flat.value, { error: plainMessages });
  return { options, source, flat, parsed, secrets, certificate };
}

function configOf(
  text: string,
  { options, source, flat, parsed, secrets, certificate }: ReturnType<typeof readSource>,
) {
  const { file, onWarnings } = options;
  const problems = problemsIn(file, source, parsed.error, flat);
  if (problems.length > 0 || !parsed.success || secrets === undefined || certificate === undefined) {
    throw new ConfigError(problems);
  }
  onWarnings?.(warningsIn(file, source, flat, warningsOf(parsed.data, flat.value)));
  const config = resolveConfig(parsed.data, {
    file: resolve(file),
    hash: hashOf(text),
    source,
    flat,
    secrets,
    certificate,
    placeOf: (path) => placeIn(file, source, path),
  });
  return { config, document: parsed.data };
}

const placeIn = (file: string, source: Source, path: Path): string =>
  `${file}:${source.lineColumn(source.placeOf(path).offset)}`;

const checks: readonly ((file: CheckedFile, refuse: Refuse) => void)[] = [
  checkListeners,
  checkStartSettings,
  checkIssuers,
  checkUpstreams,
  checkIdentityTokens,
  checkRoutes,
  checkDecision,
  checkRedis,
  checkJournal,
  (file, refuse) => checkTests(file.tests, namesIn(file), refuse),
];

const testsFile = z.strictObject({ tests: schema.shape.tests });

/** Reads a file of additional tests: `tests:`, as in a gateway.yaml, and nothing else. */
export function loadTests(file: string, env: Environment, config: GatewayConfig): readonly PolicyTest[] {
  const known = {
    routes: new Set(config.routes.map(({ name }) => name)),
    upstreams: new Set(config.upstreams.keys()),
    services: new Set(config.services.keys()),
    issuers: new Set(config.issuers.flatMap(({ issuer, name }) => [issuer, name])),
  };
  const source = readYaml(readConfigFile(file), env);
  const parsed = withCrossChecks(testsFile, ({ tests }, _, refuse) => checkTests(tests, known, refuse)).safeParse(
    source.value,
    { error: plainMessages },
  );
  const problems = problemsIn(file, source, parsed.error, flattenRoutes(source));
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  return parsed.data.tests.map((test, index) => ({ ...test, at: placeIn(file, source, ['tests', index]) }));
}
