import { ConfigError, printable } from '@countersign/process-kit';
import { whyImpossible } from '../config/checks/tenant-checks.ts';
import type { Issuer, PolicyTest, TestCaller } from '../config/config.ts';
import { loadConfig, loadTests, loadWithoutFiles } from '../config/load.ts';
import { errorTable } from '../errors.ts';
import { assumedToken, callerOf, callerText, issuerNamed } from '../explain/callers.ts';
import type { DryRun } from '../explain/dry-run.ts';
import {
  type Command,
  configOption,
  type Terminal,
  text,
  UsageError,
  type Values,
  withoutKeysOption,
} from './command.ts';
import { entryOf, formatOf, printReport, reportOptions, type TestResult } from './report.ts';

export const test: Command = {
  name: 'test',
  usage: '[FILE|-] [MORE…]',
  summary: 'run the `tests:` in a configuration and in additional files',
  options: [configOption, withoutKeysOption, ...reportOptions],
  async run(terminal, values, positionals) {
    const format = formatOf(values);
    try {
      const results = await runTests(terminal, values, positionals);
      if (format !== 'text')
        return printReport(terminal, 'test', format, { problems: [], tests: results.map(resultOf) });
      return reportText(terminal, results);
    } catch (error) {
      if (format === 'text' || !(error instanceof ConfigError)) throw error;
      return printReport(terminal, 'test', format, { problems: error.problems.map(entryOf), tests: [] });
    }
  },
};

type Line = readonly [style: 'good' | 'bad', text: string, why?: string | undefined];

type Result = Readonly<{ at: string; sentence: string; lines: readonly Line[] }>;

async function runTests(terminal: Terminal, values: Values, positionals: readonly string[]) {
  const named = text(values.config);
  const [file = 'gateway.yaml', ...more] = named === undefined ? positionals : [named, ...positionals];
  const config = values['without-keys'] === true ? loadWithoutFiles(file).config : loadConfig(file, terminal.env);
  const tests = [...config.tests, ...more.flatMap((further) => loadTests(further, terminal.env, config))];
  if (tests.length === 0) {
    throw new UsageError(`no tests found: add \`tests:\` to ${file}, or name a file that has tests`);
  }
  // Imported here, so that the other commands start faster.
  const { createDryRun } = await import('../explain/dry-run.ts');
  const dryRun = createDryRun(config, terminal.nowMs);
  const results: Result[] = [];
  for (const expected of tests) {
    const { method, requestTarget, as, service } = expected.request;
    const issuer = as?.issuer === undefined ? config.issuers[0] : issuerNamed(config.issuers, as.issuer);
    const token = as && issuer && assumedToken(as, issuer, terminal.nowMs());
    const run = await dryRun({ method, requestTarget, token, service });
    const why = as && whyNone(as, issuer, run);
    const lines = why === undefined ? compare(expected, run) : [['bad', why] as const];
    const sentence = `${method} ${requestTarget} as ${callerText(callerOf({ token, service }))}`;
    results.push({ at: expected.at, sentence, lines });
  }
  return results;
}

/** Says why no issuer in the configuration can produce the caller. Undefined if one can. */
function whyNone(as: TestCaller, issuer: Issuer | undefined, { route }: DryRun): string | undefined {
  if (issuer === undefined) return 'no issuer in the configuration gives tokens to this caller';
  const found = whyImpossible(as, issuer, route?.allow);
  return found && (found.message.startsWith('"') ? found.message : `${found.key}: ${found.message}`);
}

function resultOf({ at, sentence, lines }: Result): TestResult {
  const message = lines.map(([, line, why]) => `${line.replace(/ +/, ' ')}${why ? ` (${why})` : ''}`).join('; ');
  return { ...entryOf(`${at}: ${message}`), name: sentence, passed: lines.length === 0 };
}

const keys = ['allowed', 'status', 'code', 'route', 'upstream', 'path'] as const;

function compare({ expect }: PolicyTest, { refusal, answered, route, sends }: DryRun): readonly Line[] {
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
    .flatMap((key, index): readonly Line[] => [
      ['good', `expected  ${key}: ${expect[key]}`],
      ['bad', `got       ${key}: ${got[key] ?? 'none'}`, index === 0 && !got.allowed ? why : undefined],
    ]);
}

function reportText({ out, paint }: Terminal, results: readonly Result[]): number {
  for (const { at, sentence, lines } of results) {
    if (lines.length === 0) out(`${paint('good', 'pass')} ${printable(sentence)}`);
    else out(`${paint('bad', 'FAIL')} ${printable(sentence)}  ${paint('quiet', at)}`);
    for (const [style, line, why] of lines) {
      out(
        `${paint(style, `       ${printable(line)}`)}${why === undefined ? '' : `  ${paint('quiet', `(${printable(why)})`)}`}`,
      );
    }
  }
  const failed = results.filter(({ lines }) => lines.length > 0).length;
  out('');
  out(`${results.length - failed} passed, ${paint(failed > 0 ? 'bad' : 'good', `${failed} failed`)}`);
  return failed > 0 ? 1 : 0;
}
