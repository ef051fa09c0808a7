import { getFips } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { ConfigError, type Environment } from '@countersign/service-kit';
import type { Path, Source } from '@countersign/strict-yaml';
import { readYaml } from '@countersign/strict-yaml';
import { z } from 'zod';
import { type GatewayConfig, type PolicyTest, resolveConfig } from './config.ts';
import { hashOf, readConfigFile } from './files.ts';
import { flattenRoutes } from './route-groups.ts';
import { type CrossChecks, withCrossChecks } from './schema/cross-checks.ts';
import { checkDecision } from './schema/decision-checks.ts';
import { checkDpop } from './schema/dpop.ts';
import { checkIssuers } from './schema/issuers/issuer-checks.ts';
import type { IssuerPieces } from './schema/issuers/issuers.ts';
import { checkJournal } from './schema/journal-check.ts';
import { checkListeners, checkStartSettings, openAdminProblem, type StartSettings } from './schema/listen.ts';
import { plainMessages } from './schema/messages.ts';
import { checkTests } from './schema/policy-tests.ts';
import { problemsIn, warningsIn } from './schema/problems.ts';
import { checkRedisForProcesses } from './schema/redis-check.ts';
import { checkRoutes } from './schema/route-checks.ts';
import { type Document, schema } from './schema/schema.ts';
import { checkUpstreams } from './schema/upstreams.ts';
import { readSecrets, type Secrets } from './secrets.ts';
import { type ListenerCertificate, readListenerCertificate } from './tls-files.ts';
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
  /** The number of worker processes, 1 by default. */
  workers?: number;
  /** Whether Node runs in FIPS mode. Default: asks Node. */
  isFips?: boolean;
  /**
   * Called with the warnings of a valid file, as `file:line:column: warning: …`. By default, warnings are not checked.
   */
  onWarnings?(lines: readonly string[]): void;
}>;

type ParseOptions = LoadContext & Readonly<{ file: string; env: Environment }>;

/** Like {@link loadConfig}, for text that has already been read. */
export function parseConfig(text: string, { file, env, ...context }: ParseOptions): GatewayConfig {
  const absolute = resolve(file);
  const source = readYaml(text, env);
  const flat = flattenRoutes(source);
  const isProduction = env.NODE_ENV === 'production';
  const { check, read } = crossChecksFor(source, dirname(absolute), { ...context, isProduction });
  const parsed = withCrossChecks(schema, check).safeParse(flat.value, { error: plainMessages });
  const problems = problemsIn(file, source, parsed.error, flat);
  const { secrets, certificate } = read;
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

const testsFile = z.strictObject({ tests: schema.shape.tests });

/**
 * Reads a file of additional tests: `tests:`, as in a gateway.yaml, and nothing else.
 *
 * @param config The configuration to test.
 * @throws ConfigError that lists every problem as `file:line:column: …`.
 */
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

/** Undefined if the issuer is malformed or has a template. */
const namesOfIssuer = ({ issuer, name, template }: IssuerPieces): readonly (string | undefined)[] =>
  template === undefined ? [issuer, name ?? issuer] : [undefined];

type FilesRead = { secrets?: Secrets; certificate?: ListenerCertificate };

/** @returns All cross-checks of a file. They store in `read` what they load from the files that it names. */
function crossChecksFor(
  source: Source,
  directory: string,
  { running, workers = 1, isFips = getFips() === 1, isProduction }: LoadContext & Readonly<{ isProduction: boolean }>,
): Readonly<{ check: CrossChecks<Document>; read: FilesRead }> {
  const read: FilesRead = {};
  const check: CrossChecks<Document> = (file, isMalformed, refuse) => {
    const { listen, issuers, upstreams, routes } = file;
    const services = new Set(isMalformed('services') ? [undefined] : Object.keys(file.services));
    checkListeners(listen, refuse);
    const openAdmin = openAdminProblem(file);
    if (isProduction && openAdmin !== undefined) refuse(['listen', 'admin'], openAdmin);
    read.certificate = readListenerCertificate(
      { tls: listen.tls, decisionCa: file.decision?.clientCa },
      directory,
      refuse,
    );
    checkIssuers({ ...file, directory }, isMalformed, refuse);
    read.secrets = readSecrets(file, source, directory, refuse);
    checkUpstreams({ ...file, directory, isFips, services }, refuse);
    checkRoutes(file, isMalformed, refuse);
    checkDpop(file, refuse);
    checkDecision(
      {
        ...file,
        address: listen.decision,
        hasTls: listen.tls !== undefined,
        hasNonces: file.dpop?.nonces !== undefined,
        upstreams: Object.keys(upstreams),
      },
      isMalformed,
      refuse,
    );
    const known = {
      routes: new Set(isMalformed('routes') ? [undefined] : routes.map(({ name }) => name)),
      upstreams: new Set(Object.keys(upstreams)),
      services,
      issuers: new Set(issuers.flatMap(namesOfIssuer)),
    };
    checkTests(file.tests, known, refuse);
    if (!isMalformed('redis') && !isMalformed('instances')) checkRedisForProcesses(file, workers, refuse);
    if (!isMalformed('journal')) checkJournal(file, directory, refuse);
    const journal = file.journal && resolve(directory, file.journal);
    if (running !== undefined) checkStartSettings({ ...file, journal }, isMalformed, refuse, running);
  };
  return { check, read };
}
