import { ConfigError, type Environment } from '@countersign/service-kit';
import { z } from 'zod';
import type { GatewayConfig, PolicyTest } from './config.ts';
import { readConfigFile } from './files.ts';
import { resolveTest } from './resolve.ts';
import { withCrossChecks } from './schema/cross-checks.ts';
import { checkTests } from './schema/policy-tests.ts';
import { problemsIn } from './schema/problems.ts';
import { schema, wellFormed } from './schema/schema.ts';
import { readYaml } from './yaml/yaml.ts';

const fileSchema = z.strictObject({ tests: schema.shape.tests });

/**
 * Reads a file of further tests: `tests:`, as in a gateway.yaml, and nothing else.
 *
 * @param config The configuration that they test.
 * @throws ConfigError with every problem at once, each as `file:line:column: …`.
 */
export function loadTests(file: string, env: Environment, config: GatewayConfig): readonly PolicyTest[] {
  const { upstreams, services } = config;
  const known = {
    routes: new Set(config.routes.map(({ name }) => name)),
    upstreams,
    services,
    issuers: new Set(config.issuers.flatMap(({ issuer, name }) => [issuer, name])),
  };
  const source = readYaml(readConfigFile(file), env);
  const parsed = withCrossChecks(fileSchema, (tests, _isMalformed, refuse) =>
    checkTests(wellFormed(tests).tests, known, refuse),
  ).safeParse(source.value);
  const problems = problemsIn(file, source, parsed.error, fileSchema);
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  return parsed.data.tests.map((test, index) =>
    resolveTest(test, `${file}:${source.lineColumn(source.offsetOf(['tests', index]))}`),
  );
}
