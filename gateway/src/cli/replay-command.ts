import { statSync } from 'node:fs';
import { ConfigError, printable, whyUnreadable } from '@countersign/process-kit';
import type { GatewayConfig } from '../config/config.ts';
import { loadWithoutFiles } from '../config/load.ts';
import { createDecideAgain } from '../replay/decide-again.ts';
import { type Decision, readLine } from '../replay/log-line.ts';
import { readLines } from '../replay/read-log.ts';
import { type ChangeGroup, Summary, type UnknownGroup } from '../replay/summary.ts';
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
      else if (line === 'other') summary.otherLines += 1;
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

const barWidth = 30;

/** Shows a bar on standard error if that is a terminal. The size of a pipe is unknown, so it counts as empty. */
function createProgress(logs: readonly string[]) {
  const isShown = process.stderr.isTTY === true;
  const total = logs.reduce((sum, log) => sum + (statSync(log, { throwIfNoEntry: false })?.size ?? 0), 0);
  let [bytes, shown] = [0, -1];
  return {
    add(count: number) {
      bytes += count;
      const percent = Math.min(100, Math.floor((100 * bytes) / Math.max(total, bytes)));
      if (!isShown || percent === shown) return;
      shown = percent;
      const done = Math.round((barWidth * percent) / 100);
      process.stderr.write(`\r[${'#'.repeat(done)}${' '.repeat(barWidth - done)}] ${percent} %`);
    },
    end: () => void (isShown && process.stderr.write('\r\x1b[K')),
  };
}

/** The form of `--json`. docs/operations/replay.md describes it. */
function documentOf(summary: Summary) {
  const { counts, changes, unknowns, tokens, otherLines, brokenLines, broken } = summary;
  const groupOf = ({ role, tenant, requests, callers, isExact, requestIds }: ChangeGroup | UnknownGroup) => ({
    role: role ?? null,
    tenant: tenant ?? null,
    requests,
    callers,
    callers_exact: isExact,
    request_ids: requestIds,
  });
  return {
    same: counts.same,
    changed: counts.changed,
    unknown: counts.unknown,
    changes: changes.map((group) => {
      const { access, before, after } = group;
      return { access, before: shown(before), after: shown(after), ...groupOf(group) };
    }),
    unknowns: unknowns.map((group) => ({ route: group.route ?? null, lacks: group.lacks, ...groupOf(group) })),
    not_replayed: { refused_before_the_rules: Object.fromEntries(tokens), without_decision: counts.undecided },
    lines: { other: otherLines, broken: brokenLines, first_broken: broken },
  };
}

const shown = ({ route, code, kind }: Decision) => ({ route: route ?? null, code: code ?? null, kind: kind ?? null });

const maxShown = 100;

function linesOf(summary: Summary): readonly string[] {
  const { counts, changes, unknowns, tokens, otherLines, brokenLines, broken } = summary;
  const number = (count: number) => count.toLocaleString('en');
  const lines = [`${number(counts.same)} same, ${number(counts.changed)} changed, ${number(counts.unknown)} unknown`];
  const whose = ({ role, tenant }: ChangeGroup | UnknownGroup) =>
    [role === null ? 'other roles and tenants' : role && `role ${role}`, tenant && `tenant ${tenant}`].flatMap(
      (part) => (part ? [`${part}, `] : []),
    );
  const who = ({ callers, isExact }: ChangeGroup | UnknownGroup, kind: string) =>
    callers === 0 ? kind : `${isExact ? '' : 'at least '}${number(callers)} caller${callers === 1 ? '' : 's'}`;
  const add = (group: ChangeGroup | UnknownGroup, text: string) => {
    lines.push(
      `  ${text}: ${whose(group).join('')}${number(group.requests)} request${group.requests === 1 ? '' : 's'}`,
    );
    lines.push(`    ${group.requestIds.join(' ')}${group.requests > group.requestIds.length ? ' …' : ''}`);
  };
  if (changes.length > 0) lines.push('', 'Changed:');
  for (const group of changes.slice(0, maxShown)) add(group, changeText(group, who(group, 'unnamed callers')));
  if (unknowns.length > 0) lines.push('', 'Unknown, because the log lacks what the configuration reads:');
  for (const group of unknowns.slice(0, maxShown))
    add(group, `${who(group, 'requests')} of ${routeText(group.route)}: ${group.lacks}`);
  const more = Math.max(0, changes.length - maxShown) + Math.max(0, unknowns.length - maxShown);
  if (more > 0) lines.push(`  and ${number(more)} more groups: see --json`);
  const codes = [...tokens].map(([code, count]) => `${code} ${number(count)}`).join(', ');
  lines.push('', "Not replayed: limits, a token's validity, proofs and bodies.");
  if (codes !== '') lines.push(`  refused before the rules, as it would be again if its reason still holds: ${codes}`);
  if (counts.undecided > 0) lines.push(`  without a decision about a route: ${number(counts.undecided)}`);
  if (otherLines > 0) lines.push(`  other lines: ${number(otherLines)}`);
  const first = `${broken.join(', ')}${brokenLines > broken.length ? ', …' : ''}`;
  if (brokenLines > 0) lines.push(`  broken lines: ${number(brokenLines)} (${first})`);
  return lines;
}

const routeText = (route: string | undefined): string => (route === undefined ? 'no route' : `route ${route}`);

function changeText({ access, before, after, callers }: ChangeGroup, who: string): string {
  const isOne = callers === 1;
  const from = `${who} of ${routeText(before.route)}`;
  const to = after.route === undefined || before.route === after.route ? '' : `, now ${routeText(after.route)}`;
  const was = `was ${before.code}${before.route === after.route ? '' : ` at ${routeText(before.route)}`}`;
  switch (access) {
    case 'lost':
      return `${from} ${isOne ? 'loses' : 'lose'} access (${after.code}${to})`;
    case 'gained':
      return `${who} ${isOne ? 'gains' : 'gain'} access to ${routeText(after.route)} (${was})`;
    case 'kept':
      return `${from} ${isOne ? 'is' : 'are'} served as ${after.kind} instead of ${before.kind}${to}`;
    case 'refused':
      return `${from} ${isOne ? 'is' : 'are'} refused with ${after.code} instead of ${before.code}${to}`;
  }
}
