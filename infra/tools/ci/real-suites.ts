import { readFileSync } from 'node:fs';

// Called by .ci/run with Jest's JSON report. Fails if a suite that needs a real server was silently skipped.

type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { name: string; assertionResults: { status: string; ancestorTitles: string[]; title: string }[] }[];
};

type Part = 'servers' | 'stacks';

/** For each part of .ci/run: the workspaces that store data on a server, and the server that their suites must use. */
const required: Record<Part, readonly [workspace: string, server: 'postgres' | 'redis'][]> = {
  servers: [
    ['packages/database', 'postgres'],
    ['auth-service', 'postgres'],
    ['users-service', 'postgres'],
    ['complaint-service', 'postgres'],
    ['packages/identity', 'redis'],
    ['gateway', 'redis'],
    ['auth-service', 'redis'],
  ],
  stacks: [['infra', 'postgres']],
};

/** @returns One sentence for each missing suite. */
export function missingSuites(part: Part, report: Report): string[] {
  const problems: string[] = [];
  for (const [workspace, server] of required[part]) {
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

if (import.meta.main) {
  const [part = '', file = ''] = process.argv.slice(2);
  const report: Report = JSON.parse(readFileSync(file, 'utf8'));
  const problems = missingSuites(part as Part, report);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
  process.stdout.write(
    `${report.numPassedTests} passed, ${report.numFailedTests} failed, ${report.numPendingTests} skipped\n`,
  );
}
