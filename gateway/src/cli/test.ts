import type { GatewayConfig, PolicyTest } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { loadTests } from '../config/load-tests.ts';
import { errorTable } from '../errors.ts';
import { assumedPrincipal, callerText, issuerOf } from '../explain/assumed-caller.ts';
import { createDryRun, type Decision } from '../explain/dry-run.ts';
import type { PolicyCaller } from '../routing/policy.ts';
import { type Command, configOption, text, UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';

export const test: Command = {
  name: 'test',
  usage: '[FILE] [MORE…]',
  summary: 'run the `tests:` of a configuration and of more files',
  options: [configOption.help],
  parse: configOption.parse,
  run(terminal, values, positionals) {
    const named = text(values.config);
    const [file = 'gateway.yaml', ...more] = named === undefined ? positionals : [named, ...positionals];
    const config = loadConfig(file, terminal.env);
    const tests = [...config.tests, ...more.flatMap((further) => loadTests(further, terminal.env, config))];
    if (tests.length === 0) {
      throw new UsageError(`no tests found: add \`tests:\` to ${file}, or name a file that has tests`);
    }
    const decide = createDryRun(config);
    let failed = 0;
    for (const expected of tests) {
      const { method, target } = expected.request;
      const caller = callerOf(expected, config);
      const differences = compare(expected, decide({ method, target, caller }));
      if (differences.length > 0) failed += 1;
      report(terminal, expected, caller, differences);
    }
    const passed = tests.length - failed;
    terminal.out('');
    terminal.out(`${passed} passed, ${terminal.paint(failed > 0 ? 'bad' : 'good', `${failed} failed`)}`);
    return failed > 0 ? 1 : 0;
  },
};

type Difference = Readonly<{ what: string; expected: unknown; got: unknown; why: string | undefined }>;

function compare({ expect }: PolicyTest, decision: Decision): readonly Difference[] {
  const got = {
    allowed: decision.refusal === undefined,
    status: decision.refusal && errorTable[decision.refusal].status,
    code: decision.refusal,
    route: decision.route?.name,
    upstream: decision.refusal === undefined ? decision.route?.upstream.name : undefined,
    path: decision.path,
  };
  const keys = ['allowed', 'status', 'code', 'route', 'upstream', 'path'] as const;
  return keys
    .filter((key) => expect[key] !== undefined && expect[key] !== got[key])
    .map((key) => ({
      what: key,
      expected: expect[key],
      got: got[key],
      why: key === 'allowed' ? whyRefused(decision) : undefined,
    }));
}

function whyRefused({ refusal, why, verdicts }: Decision): string | undefined {
  if (refusal === undefined) return undefined;
  const reason = why ?? verdicts.find((verdict) => verdict.refusal === refusal)?.why;
  return `${errorTable[refusal].status} ${refusal}${reason === undefined ? '' : `: ${reason}`}`;
}

function report(
  terminal: Terminal,
  { request, at }: PolicyTest,
  caller: PolicyCaller,
  differences: readonly Difference[],
): void {
  const sentence = `${request.method} ${request.target} as ${callerText(caller)}`;
  if (differences.length === 0) {
    terminal.out(`${terminal.paint('good', 'pass')} ${sentence}`);
    return;
  }
  terminal.out(`${terminal.paint('bad', 'FAIL')} ${sentence}  ${terminal.paint('quiet', at)}`);
  for (const { what, expected, got, why } of differences) {
    terminal.out(terminal.paint('good', `       expected  ${what}: ${String(expected)}`));
    const reason = why === undefined ? '' : `  ${terminal.paint('quiet', `(${why})`)}`;
    terminal.out(
      `${terminal.paint('bad', `       got       ${what}: ${got === undefined ? 'none' : String(got)}`)}${reason}`,
    );
  }
}

function callerOf({ request }: PolicyTest, config: GatewayConfig): PolicyCaller {
  const { as: assumed, service: serviceId } = request;
  const principal = assumed && assumedPrincipal(assumed, issuerOf(config, assumed.issuer));
  if (serviceId !== undefined) return { kind: 'service', serviceId, principal };
  return principal ?? { kind: 'anonymous' };
}
