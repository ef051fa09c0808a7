import { printable } from '@countersign/process-kit';
import { type Option, type Terminal, UsageError, type Values } from './command.ts';

/** A problem, a warning or a test, with its location. The location is null if it is outside the files. */
export type ReportEntry = Readonly<{
  file: string | null;
  line: number | null;
  column: number | null;
  message: string;
}>;

/** `message` says why the test failed. It is empty if the test passed. */
export type TestResult = ReportEntry & Readonly<{ name: string; passed: boolean }>;

export type Report = Readonly<{
  problems: readonly ReportEntry[];
  warnings?: readonly ReportEntry[];
  tests?: readonly TestResult[];
}>;

export const reportOptions: readonly Option[] = [
  ['--json', 'print one JSON document'],
  ['--junit', 'print JUnit XML, for CI'],
];

export type Format = 'text' | 'json' | 'junit';

/** @throws UsageError if two options both need standard output. */
export function formatOf(values: Values): Format {
  const chosen = ['json', 'junit', 'routes'].filter((name) => values[name] === true);
  if (chosen.length > 1) throw new UsageError(`only one of --${chosen.join(', --')} is allowed`);
  return chosen[0] === 'json' || chosen[0] === 'junit' ? chosen[0] : 'text';
}

export function entryOf(text: string): ReportEntry {
  const [, file, line, column, message] = /^(.+?):(\d+):(\d+): (?:warning: )?(.*)$/s.exec(text) ?? [];
  if (file === undefined || message === undefined) return { file: null, line: null, column: null, message: text };
  return { file, line: Number(line), column: Number(column), message };
}

export function printReport(terminal: Terminal, command: string, format: Format, report: Report): number {
  const ok = report.problems.length === 0 && (report.tests ?? []).every(({ passed }) => passed);
  terminal.out(format === 'json' ? jsonText({ ok, ...report }) : junit(command, report));
  return ok ? 0 : 1;
}

/** Formats JSON for terminals too: what could change how a line is shown becomes an escape sequence of JSON. */
export const jsonText = (value: unknown): string =>
  JSON.stringify(value, null, 2).split('\n').map(printable).join('\n');

type Case = ReportEntry & Readonly<{ name: string; element?: 'failure' | 'system-out' }>;

/**
 * Writes every test, problem and warning as a test case. Warnings do not fail. An empty report has one passing case
 * that says so.
 */
function junit(command: string, { problems, warnings = [], tests = [] }: Report): string {
  const cases: readonly Case[] = [
    ...problems.map((one) => ({ ...one, name: one.message, element: 'failure' as const })),
    ...warnings.map((one) => ({ ...one, name: one.message, element: 'system-out' as const })),
    ...tests.map((one) => ({ ...one, ...(!one.passed && { element: 'failure' as const }) })),
  ];
  const all = cases.length > 0 ? cases : [{ ...entryOf('no problems'), name: 'no problems' }];
  const failures = cases.filter(({ element }) => element === 'failure').length;
  const suite = `name="countersign ${command}" tests="${all.length}" failures="${failures}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites><testsuite ${suite}>`,
    ...all.map(caseLine),
    '</testsuite></testsuites>',
  ].join('\n');
}

function caseLine({ file, line, column, message, name, element }: Case): string {
  const place = file === null ? '' : ` file="${escaped(file)}" line="${line}"`;
  const start = `<testcase classname="${escaped(file ?? 'countersign')}" name="${escaped(name)}"${place}`;
  if (element === undefined) return `${start}/>`;
  const text = escaped(file === null ? message : `${file}:${line}:${column}: ${message}`);
  const open = element === 'failure' ? `failure message="${escaped(message)}"` : element;
  return `${start}><${open}>${text}</${element}></testcase>`;
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Escapes text and attribute values. XML cannot escape control characters, so they are replaced by visible ones. */
const escaped = (text: string): string =>
  printable(text)
    .replace(/[&<>"]/g, (character) => entities[character] ?? '')
    .replace(/[\ufffe\uffff]/g, '\ufffd');
