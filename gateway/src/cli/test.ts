import type { PolicyTest } from '../config/config.ts';
import { loadConfig, loadTests } from '../config/load.ts';
import { errorTable } from '../errors.ts';
import { assumedToken, callerOf, callerText, issuerNamed } from '../explain/callers.ts';
import type { DryRun } from '../explain/dry-run.ts';
import { type Command, configOption, text, UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';

export const test: Command = {
  name: 'test',
  usage: '[FILE] [MORE…]',
  summary: 'run the `tests:` of a configuration and of more files',
  options: [configOption],
  async run(terminal, values, positionals) {
    const named = text(values.config);
    const [file = 'gateway.yaml', ...more] = named === undefined ? positionals : [named, ...positionals];
    const config = loadConfig(file, terminal.env);
    const tests = [...config.tests, ...more.flatMap((further) => loadTests(further, terminal.env, config))];
    if (tests.length === 0) {
      throw new UsageError(`no tests found: add \`tests:\` to ${file}, or name a file that has tests`);
    }
    // Imported here, so that the other commands start faster.
    const { createDryRun } = await import('../explain/dry-run.ts');
    const dryRun = createDryRun(config, terminal.nowMs);
    let failed = 0;
    for (const expected of tests) {
      const { method, target, as, service } = expected.request;
      const issuer = as?.issuer === undefined ? config.issuers[0] : issuerNamed(config.issuers, as.issuer);
      const token = as && issuer && assumedToken(as, issuer, terminal.nowMs());
      const differences = compare(expected, await dryRun({ method, target, token, service }));
      if (differences.length > 0) failed += 1;
      report(terminal, expected, callerText(callerOf({ token, service })), differences);
    }
    const passed = tests.length - failed;
    terminal.out('');
    terminal.out(`${passed} passed, ${terminal.paint(failed > 0 ? 'bad' : 'good', `${failed} failed`)}`);
    return failed > 0 ? 1 : 0;
  },
};

const keys = ['allowed', 'status', 'code', 'route', 'upstream', 'path'] as const;

function compare({ expect }: PolicyTest, { refusal, answered, route, sends }: DryRun) {
  const status = refusal === undefined ? answered?.status : errorTable[refusal.code].status;
  const got = {
    allowed: sends !== undefined,
    status,
    code: refusal?.code,
    route: route?.name,
    upstream: sends && route?.upstream.name,
    path: sends?.path,
  };
  const why = `${status} ${refusal?.code ?? 'from the gateway'}${refusal?.why ? `: ${refusal.why}` : ''}`;
  return keys
    .filter((key) => expect[key] !== undefined && expect[key] !== got[key])
    .map((key) => ({
      what: key,
      expected: expect[key],
      got: got[key],
      why: key === 'allowed' && !got.allowed ? why : undefined,
    }));
}

function report(
  terminal: Terminal,
  { request, at }: PolicyTest,
  caller: string,
  differences: ReturnType<typeof compare>,
): void {
  const sentence = `${request.method} ${request.target} as ${caller}`;
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
