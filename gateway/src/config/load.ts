import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ConfigError, type Environment } from '@countersign/service-kit';
import { checkEdges } from './check-edges.ts';
import { checkRoutes } from './check-routes.ts';
import { checkTests } from './check-tests.ts';
import type { GatewayConfig } from './config.ts';
import { partsOf } from './parts.ts';
import { type Finding, findingsOf, placed } from './problems.ts';
import { resolveConfig } from './resolve.ts';
import { schema } from './schema.ts';
import { readSecrets } from './secrets.ts';
import { readYaml, type Source } from './yaml.ts';

/** A file that is no YAML at all can have a problem a byte. */
const mostShown = 200;

/**
 * Reads a gateway.yaml.
 *
 * @param file Relative to the working directory, or absolute; problems name it as it is given here.
 * @throws ConfigError with every problem at once, each as `file:line:column: what is wrong, and what is allowed`.
 */
export function loadConfig(file: string, env: Environment): GatewayConfig {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new ConfigError([`${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`]);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError([`${file}:1:1: is not UTF-8`]);
  }
  return parseConfig(text, { file, env });
}

/** The same, from text that is already read. */
export function parseConfig(text: string, { file, env }: { file: string; env: Environment }): GatewayConfig {
  const absolute = resolve(file);
  const source = readYaml(text, env);
  const parsed = schema.safeParse(source.value);
  const { identities, findings } = checkAll(source, parsed.error?.issues ?? [], dirname(absolute));

  const problems = [...source.problems, ...findings.map((finding) => placed(finding, source))];
  if (problems.length > 0 || !parsed.success) {
    const ordered = problems.toSorted((a, b) => a.offset - b.offset);
    const shown = ordered.slice(0, mostShown);
    const lines = shown.map(({ offset, message }) => `${file}:${source.lineColumn(offset)}: ${message}`);
    if (ordered.length > mostShown) lines.push(`${file}: and ${ordered.length - mostShown} more`);
    throw new ConfigError([...new Set(lines)]);
  }
  return resolveConfig(parsed.data, {
    file: absolute,
    text,
    identities,
    placeOfTest: (index) => `${file}:${source.lineColumn(source.offsetOf(['tests', index]))}`,
  });
}

function checkAll(source: Source, issues: Parameters<typeof findingsOf>[0], directory: string) {
  // No structure: what the schema would say about that is noise.
  if (source.value === undefined) return { identities: new Map(), findings: [] as readonly Finding[] };
  const parts = partsOf(source.value);
  const secrets = readSecrets(parts, source, directory);
  const findings: readonly Finding[] = [
    ...findingsOf(issues, source.value),
    ...checkEdges(parts),
    ...secrets.findings,
    ...checkRoutes(parts),
    ...checkTests(parts),
  ];
  return { identities: secrets.identities, findings: findings.filter((finding) => !isEcho(finding, source)) };
}

// A variable that is not set is one problem, not also a missing key.
function isEcho({ path, absent }: Finding, source: Source): boolean {
  return source.isBroken(absent === undefined ? path : [...path, absent]);
}
