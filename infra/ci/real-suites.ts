import { readFileSync } from 'node:fs';

// Called by .ci/run with Jest's JSON reports. Fails if a suite that needs a real server was silently skipped.

type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { name: string; assertionResults: { status: string; ancestorTitles: string[]; title: string }[] }[];
};

/** Workspaces that store data on a server, and the servers that their suites must have used. */
const required: readonly [workspace: string, server: 'postgres' | 'redis'][] = [
  ['packages/database', 'postgres'],
  ['auth-service', 'postgres'],
  ['users-service', 'postgres'],
  ['complaint-service', 'postgres'],
  ['infra', 'postgres'],
  ['packages/identity', 'redis'],
  ['gateway', 'redis'],
  ['auth-service', 'redis'],
];

/** @returns One sentence for each missing suite. */
export function missingSuites(report: Report): string[] {
  const problems: string[] = [];
  for (const [workspace, server] of required) {
    const ran = report.testResults
      .filter((file) => file.name.includes(`/${workspace}/`))
      .flatMap((file) => file.assertionResults)
      .filter((test) => test.status === 'passed')
      .filter((test) =>
        [...test.ancestorTitles, test.title].some((title) => new RegExp(`\\b${server}\\b`, 'i').test(title)),
      );
    if (ran.length === 0) problems.push(`${workspace}: nothing ran on ${server}`);
  }
  if (report.numPendingTests > 0) problems.push(`${report.numPendingTests} tests were skipped`);
  return problems;
}

/** Combines the reports of several runs. */
export function merged(reports: readonly Report[]): Report {
  const sum = (count: (report: Report) => number) => reports.reduce((total, report) => total + count(report), 0);
  return {
    numPassedTests: sum(({ numPassedTests }) => numPassedTests),
    numFailedTests: sum(({ numFailedTests }) => numFailedTests),
    numPendingTests: sum(({ numPendingTests }) => numPendingTests),
    testResults: reports.flatMap(({ testResults }) => testResults),
  };
}

const files = process.argv.slice(2);
if (files.length > 0 && import.meta.main) {
  const report = merged(files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Report));
  const problems = missingSuites(report);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
  process.stdout.write(
    `${report.numPassedTests} passed, ${report.numFailedTests} failed, ${report.numPendingTests} skipped\n`,
  );
}
