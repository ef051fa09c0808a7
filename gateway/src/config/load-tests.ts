import { ConfigError, type Environment } from '@countersign/service-kit';
import { z } from 'zod';
import type { GatewayConfig, PolicyTest } from './config.ts';
import { readConfigFile } from './files.ts';
import { resolveTest } from './resolve.ts';
import { checkTests } from './schema/check-tests.ts';
import { jsonSchema } from './schema/json-schema.ts';
import { partsOf } from './schema/parts.ts';
import { findingsOf, placed, problemLines } from './schema/problems.ts';
import { schema } from './schema/schema.ts';
import { readYaml } from './yaml/yaml.ts';

const fileSchema = z.strictObject({ tests: schema.shape.tests });

/**
 * Reads a file of further tests: `tests:`, as in a gateway.yaml, and nothing else.
 *
 * @param config What they are tests of.
 * @throws ConfigError with every problem at once, each as `file:line:column: …`.
 */
export function loadTests(file: string, env: Environment, config: GatewayConfig): readonly PolicyTest[] {
  const source = readYaml(readConfigFile(file), env);
  const parsed = fileSchema.safeParse(source.value);
  const findings =
    source.value === undefined
      ? []
      : [
          ...findingsOf(parsed.error?.issues ?? [], source.value, jsonSchema(fileSchema)),
          ...checkTests(partsOf(source.value).tests, {
            routes: new Set(config.routes.map(({ name }) => name)),
            upstreams: config.upstreams,
            services: config.services,
          }),
        ];
  const problems = [...source.problems, ...findings.map((finding) => placed(finding, source))];
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problemLines(file, source, problems));
  return parsed.data.tests.map((test, index) =>
    resolveTest(test, `${file}:${source.lineColumn(source.offsetOf(['tests', index]))}`),
  );
}
