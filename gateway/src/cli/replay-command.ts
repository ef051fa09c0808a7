import { statSync } from 'node:fs';
import { ConfigError, printable, whyUnreadable } from '@countersign/process-kit';
import type { GatewayConfig } from '../config/config.ts';
import { loadWithoutFiles } from '../config/load.ts';
import { createDecideAgain } from '../replay/decide-again.ts';
import { type Decision, readLine } from '../replay/log-line.ts';
import { readLines } from '../replay/read-log.ts';
import { type Group, Summary } from '../replay/summary.ts';
import { type Command, jsonOption, type Terminal, text, UsageError } from './command.ts';
import { jsonText } from './report.ts';

export const replay: Command = {
  name: 'replay',
  usage: 'LOG… --against FILE',
  summary: 'decide the requests of a log again by a changed configuration, and show whose access changes',
  options: [['--against FILE', 'the changed configuration; no file that it names is opened'], jsonOption],
  async run(terminal, values, logs) {
    const file = text(values.against);
    if (file === undefined || logs.length === 0) throw new UsageError('LOG and --against FILE are required');
    try {
      const summary = await replayLogs(logs, file, terminal);
      if (values.json === true) terminal.out(jsonText(documentOf(summary)));
      else for (const line of linesOf(summary)) terminal.out(printable(line));
      const { same, changed, unknown, token } = summary.counts;
      if (same + changed + unknown + token === 0) {
        terminal.err('countersign replay: no decision of a gateway is in these logs: they must be its JSON lines');
        return 2;
      }
      return changed + unknown === 0 ? 0 : 1;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) terminal.err(problem);
      return 2;
    }
  },
};

async function replayLogs(logs: readonly string[], file: string, terminal: Terminal): Promise<Summary> {
  const { config, standIns } = loadWithoutFiles(file, { env: terminal.env });
  const unset = standIns.filter((name) => policyOf(config).includes(`\${${name}}`));
  if (unset.length > 0)
    throw new ConfigError([`${file}: decisions depend on ${unset.join(', ')}: set these variables`]);
  const decideAgain = createDecideAgain(config);
  const summary = new Summary();
  const progress = createProgress(logs);
  for (const log of logs) {
    try {
      await replayLog(log, summary, decideAgain, progress.add);
    } catch (error) {
      progress.end();
      if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error;
      throw new ConfigError([`${log}: ${whyUnreadable(error)}`]);
    }
  }
  progress.end();
  return summary;
}

async function replayLog(
  log: string,
  summary: Summary,
  decideAgain: ReturnType<typeof createDecideAgain>,
  onBytes: (count: number) => void,
): Promise<void> {
  let number = 0;
  for await (const lines of readLines(log, onBytes)) {
    for (const written of lines) {
      number += 1;
      const line = readLine(written);
      if (line === 'broken') summary.addBroken(`${log}:${number}`);
      else if (line === 'other') summary.lines.other += 1;
      else summary.add(line, decideAgain(line));
    }
  }
}

/** What no decision reads. */
const unreadKeys = 'jwks audience require introspection events revocations limits body rewrite forward'.split(' ');

/** The issuers and routes of a file, with the names of variables in place of their values. */
function policyOf({ redacted }: GatewayConfig): string {
  const { issuers, routes } = JSON.parse(redacted);
  return JSON.stringify([issuers, routes], (key, value) => (unreadKeys.includes(key) ? undefined : value));
}

/** Shows a bar on standard error if that is a terminal. The size of a pipe is unknown, so it counts as empty. */
function createProgress(logs: readonly string[]) {
  const isShown = process.stderr.isTTY === true;
  const total = logs.reduce((sum, log) => sum + (statSync(log, { throwIfNoEntry: false })?.size ?? 0), 0);
  let [bytes, shown] = [0, -1];
  return {
    add(count: number) {
      bytes += count;
      const percent = Math.min(100, Math.floor((100 * bytes) / Math.max(total, bytes)));
      if (isShown && percent !== shown) process.stderr.write(`\r[${'#'.repeat(percent / 4).padEnd(25)}] ${percent} %`);
      shown = percent;
    },
    end: () => void (isShown && process.stderr.write('\r\x1b[K')),
  };
}

function documentOf({ counts: { token: _, undecided, ...counts }, groups, tokens, lines }: Summary) {
  return { ...counts, groups, not_replayed: { refused_before_the_rules: tokens, without_decision: undecided }, lines };
}

const maxShown = 100;
const number = (count: number): string => count.toLocaleString('en');
const counted = (count: number, noun: string): string => `${number(count)} ${noun}${count === 1 ? '' : 's'}`;

function linesOf({
  counts,
  groups,
  tokens,
  lines: { other, broken, first_broken: first },
}: Summary): readonly string[] {
  const codes = Object.entries(tokens).map(([code, count]) => `${code} ${number(count)}`);
  const notes = [
    codes.length > 0 && `refused before the rules, and again while the reason holds: ${codes.join(', ')}`,
    counts.undecided > 0 && `without a decision about a route: ${number(counts.undecided)}`,
    other > 0 && `other lines: ${number(other)}`,
    broken > 0 && `broken lines: ${number(broken)} (${first.join(', ')}${broken > first.length ? ', …' : ''})`,
  ];
  return [
    `${number(counts.same)} same, ${number(counts.changed)} changed, ${number(counts.unknown)} unknown`,
    '',
    ...groups
      .slice(0, maxShown)
      .flatMap((group) => [
        `${changeText(group)}: ${whose(group)}${counted(group.requests, 'request')}`,
        `  ${group.request_ids.join(' ')}${group.requests > group.request_ids.length ? ' …' : ''}`,
      ]),
    ...(groups.length > maxShown ? [`and ${counted(groups.length - maxShown, 'more group')}: see --json`] : []),
    ...(groups.length > 0 ? [''] : []),
    "Not replayed: limits, a token's validity, proofs and bodies.",
    ...notes.flatMap((note) => (note === false ? [] : [`  ${note}`])),
  ];
}

const whose = ({ role, tenant }: Group): string =>
  role === '*' ? 'other roles and tenants, ' : `${role ? `role ${role}, ` : ''}${tenant ? `tenant ${tenant}, ` : ''}`;

const routeText = ({ route }: Decision): string => (route === undefined ? 'no route' : `route ${route}`);

function changeText({ access, before, after = before, lacks, callers, callers_exact: isExact }: Group): string {
  const who = callers === 0 ? 'unnamed callers' : `${isExact ? '' : 'at least '}${counted(callers, 'caller')}`;
  const where = before.route === after.route || after.route === undefined ? '' : `, by ${routeText(after)}`;
  const what = {
    lost: `would lose access (${after.code})`,
    gained: `would gain access (was ${before.code})`,
    kept: `would be served as ${after.kind} instead of ${before.kind}`,
    refused: `would be refused with ${after.code} instead of ${before.code}`,
    unknown: `cannot be decided, because the log lacks ${lacks}`,
  };
  return `${who} of ${routeText(before)} ${what[access]}${where}`;
}
