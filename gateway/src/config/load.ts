import { dirname, resolve } from 'node:path';
import { ConfigError, type Environment } from '@countersign/service-kit';
import { type CertificateRead, noCertificate, readCertificate } from './certificate.ts';
import type { GatewayConfig } from './config.ts';
import { hashOf, readConfigFile } from './files.ts';
import { resolveConfig } from './resolve.ts';
import { checkDpop } from './schema/check-dpop.ts';
import { checkEdges } from './schema/check-edges.ts';
import { checkKeyFiles } from './schema/check-key-files.ts';
import { checkRoutes } from './schema/check-routes.ts';
import { checkRunning, type Settled } from './schema/check-running.ts';
import { checkTests } from './schema/check-tests.ts';
import { checkTls } from './schema/check-tls.ts';
import { checkWorkers } from './schema/check-workers.ts';
import { partsOf } from './schema/parts.ts';
import { type Finding, findingsOf, placed, problemLines } from './schema/problems.ts';
import { schema } from './schema/schema.ts';
import { noSecrets, readSecrets, type Secrets } from './secrets.ts';
import { shownConfig } from './shown.ts';
import { readYaml, type Source } from './yaml/yaml.ts';

/**
 * Reads a gateway.yaml.
 *
 * @param file Relative to the working directory, or absolute; problems name it as it is given here.
 * @param setting What it is to be served with, as far as that is settled.
 * @throws ConfigError with every problem at once, each as `file:line:column: what is wrong, and what is allowed`.
 */
export function loadConfig(file: string, env: Environment, setting: Setting = {}): GatewayConfig {
  return parseConfig(readConfigFile(file), { file, env, ...setting });
}

export type Setting = Readonly<{
  /** What a gateway that runs already was started with: a file that wants it otherwise is refused. */
  running?: Settled;
  /** How many processes; 1 if not given. */
  workers?: number;
}>;

type ParseOptions = Setting & Readonly<{ file: string; env: Environment }>;

/** The same, from text that is already read. */
export function parseConfig(text: string, { file, env, ...setting }: ParseOptions): GatewayConfig {
  const absolute = resolve(file);
  const source = readYaml(text, env);
  const parsed = schema.safeParse(source.value);
  const { secrets, certificate, findings } = checkAll(source, parsed.error?.issues ?? [], dirname(absolute), setting);

  const problems = [...source.problems, ...findings.map((finding) => placed(finding, source))];
  if (problems.length > 0 || !parsed.success) {
    throw new ConfigError(problemLines(file, source, problems));
  }
  return resolveConfig(parsed.data, {
    file: absolute,
    hash: hashOf(text),
    secrets,
    certificate: certificate.certificate,
    files: [...secrets.files, ...certificate.files],
    shown: shownConfig(source),
    placeOfTest: (index) => `${file}:${source.lineColumn(source.offsetOf(['tests', index]))}`,
  });
}

function checkAll(
  source: Source,
  issues: Parameters<typeof findingsOf>[0],
  directory: string,
  { running, workers = 1 }: Setting,
): Readonly<{ secrets: Secrets; certificate: CertificateRead; findings: readonly Finding[] }> {
  // No structure: what the schema would say about that is noise.
  if (source.value === undefined) return { secrets: noSecrets, certificate: noCertificate, findings: [] };
  const parts = partsOf(source.value);
  const secrets = readSecrets(parts, source, directory);
  const certificate = readCertificate(parts.listen, directory);
  const findings: readonly Finding[] = [
    ...findingsOf(issues, source.value),
    ...checkEdges(parts),
    ...checkKeyFiles(parts, directory),
    ...secrets.findings,
    ...checkTls(parts, directory),
    ...certificate.findings,
    ...checkRoutes(parts),
    ...checkDpop(parts),
    ...checkTests(parts.tests, {
      // A route with a problem of its own has no name here, and a test of it would be blamed for that.
      routes: parts.routes.some(({ name }) => name === undefined)
        ? undefined
        : new Set(parts.routes.map(({ name }) => name)),
      upstreams: parts.upstreams,
      services: parts.services,
    }),
    ...checkWorkers(parts, workers),
    ...(running === undefined ? [] : checkRunning(parts, running)),
  ];
  return { secrets, certificate, findings: findings.filter((finding) => !isEcho(finding, source)) };
}

// A variable that is not set is one problem, not also a missing key; so is an alias of nothing, and a tag.
function isEcho({ path, absent }: Finding, source: Source): boolean {
  return source.isBroken(absent === undefined ? path : [...path, absent]);
}
