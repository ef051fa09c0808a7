import { getFips } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { ConfigError, type Environment } from '@countersign/process-kit';
import { type Path, readYaml, type Source } from '@countersign/strict-yaml';
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
import { flattenRoutes } from './route-groups.ts';
import { plainMessages } from './schema/messages.ts';
import { schema } from './schema/schema.ts';
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
export function parseConfig(text: string, { file, env, ...context }: ParseOptions): GatewayConfig {
  const absolute = resolve(file);
  const source = readYaml(text, env);
  const flat = flattenRoutes(source);
  const { running, workers = 1, isFips = getFips() === 1 } = context;
  const known = { directory: dirname(absolute), running, workers, isFips, isProduction: env.NODE_ENV === 'production' };
  let secrets: Secrets | undefined;
  let certificate: ListenerCertificate | undefined;
  const checked = withCrossChecks(schema, (wellFormed, isMalformed, refuse) => {
    const whole: CheckedFile = { ...wellFormed, ...known, isMalformed };
    certificate = readListenerCertificate(whole, refuse);
    secrets = readSecrets(whole, source, refuse);
    for (const check of checks) check(whole, refuse);
  });
  const parsed = checked.safeParse(flat.value, { error: plainMessages });
  const problems = problemsIn(file, source, parsed.error, flat);
  if (problems.length > 0 || !parsed.success || secrets === undefined || certificate === undefined) {
    throw new ConfigError(problems);
  }
  context.onWarnings?.(warningsIn(file, source, flat, warningsOf(parsed.data, flat.value)));
  return resolveConfig(parsed.data, {
    file: absolute,
    hash: hashOf(text),
    source,
    flat,
    secrets,
    certificate,
    placeOf: (path) => placeIn(file, source, path),
  });
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
