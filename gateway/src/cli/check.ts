import { ConfigError, createLogger, StartupError } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { openAdminProblem } from '../config/schema/listen.ts';
import { readAgreementKeys } from '../keys/key-files.ts';
import { missingAgreementKey } from '../keys/signing-keys.ts';
import {
  type Command,
  configFile,
  configOption,
  readServeSettings,
  type Values,
  workersOf,
  workersOption,
} from './command.ts';
import { presetLines } from './preset-lines.ts';
import type { Terminal } from './terminal.ts';

export const check: Command = {
  name: 'check',
  usage: '[FILE]',
  summary: 'show every problem that would keep a gateway from starting',
  options: [configOption, workersOption],
  run: checkGateway,
};

/** Builds the gateway that `serve` would start, and stops it. */
export async function checkGateway(
  terminal: Terminal,
  values: Values,
  positionals: readonly string[],
): Promise<number> {
  const file = configFile(values, positionals);
  const problems: string[] = [];
  /** @returns Undefined when there are problems. */
  const collect = async <T>(build: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await build();
    } catch (error) {
      problems.push(...problemsOf(error));
      return undefined;
    }
  };
  await collect(() => readServeSettings(terminal.env));
  const config = await collect(() => loadConfig(file, terminal.env, { workers: workersOf(values) }));
  if (config !== undefined) {
    await collect(() => buildAndStop(config, terminal));
    problems.push(...(await differingIn(config)));
  }
  if (config === undefined || problems.length > 0) {
    for (const problem of problems) terminal.err(problem);
    terminal.err(counted(problems.length, 'problem'));
    return 1;
  }
  const counts = [
    counted(config.routes.length, 'route'),
    counted(config.upstreams.size, 'upstream'),
    counted(config.issuers.length, 'issuer'),
    counted(config.tests.length, 'test'),
  ];
  const missing = missingAgreementKey(config, readAgreementKeys(config.identity.keysDir));
  if (missing !== undefined) terminal.err(`warning: ${missing}`);
  const openAdmin = openAdminProblem(config);
  if (openAdmin !== undefined) terminal.err(`warning: ${openAdmin}. Where NODE_ENV is production, this is refused`);
  terminal.out(`${terminal.paint('good', 'good')} ${file}: ${counts.join(', ')}`);
  for (const line of presetLines(config.issuers)) terminal.out(terminal.paint('quiet', line));
  return 0;
}

async function buildAndStop(config: GatewayConfig, { env, nowMs }: Terminal): Promise<void> {
  // Imported here, so that the problems of a file are shown faster.
  const { buildGateway } = await import('../serve.ts');
  const gateway = await buildGateway(config, { env, nowMs, logger: createLogger('gateway', 'silent') });
  await gateway.stop();
}

/** Sends requests only for upstreams with `algorithm: agreed` and several targets. */
async function differingIn(config: GatewayConfig): Promise<readonly string[]> {
  const mayDiffer = [...config.upstreams.values()].some(
    ({ identity, targets }) => identity.algorithm === 'agreed' && targets.length > 1,
  );
  if (!mayDiffer) return [];
  const { differingKeys } = await import('./agreed-targets.ts');
  return differingKeys(config);
}

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems;
  if (error instanceof StartupError) return [error.message];
  throw error;
}

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
