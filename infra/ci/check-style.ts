import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { findings, type Rule } from './style-rules.ts';

// `npm run style`: the style of comments, titles and pages. What was there before this check is in style-baseline.json, as a count for each
// file and rule. A count may only fall: `npm run style -- --update` writes the lower ones.

type Counts = Record<string, Partial<Record<Rule, number>>>;

const root = resolve(import.meta.dirname, '../..');
const baselineFile = resolve(import.meta.dirname, 'style-baseline.json');
const baseline = JSON.parse(readFileSync(baselineFile, 'utf8')) as Counts;
const files = execFileSync('git', ['ls-files', '*.ts', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');

const counts: Counts = {};
const problems: string[] = [];
for (const file of files) {
  const found = findings(file, readFileSync(resolve(root, file), 'utf8'));
  for (const rule of new Set(found.map((finding) => finding.rule))) {
    const own = found.filter((finding) => finding.rule === rule);
    const allowed = baseline[file]?.[rule] ?? 0;
    counts[file] = { ...counts[file], [rule]: Math.min(own.length, allowed) };
    if (own.length > allowed) problems.push(...own.map(({ line, text }) => `${file}:${line}: ${rule}: ${text}`));
  }
}
const isLower = JSON.stringify(counts) !== JSON.stringify(baseline);
if (process.argv.includes('--update')) writeFileSync(baselineFile, `${JSON.stringify(counts, null, 2)}\n`);
else if (isLower && problems.length === 0)
  problems.push('style-baseline.json allows more than there is: run `npm run style -- --update`');

for (const problem of problems) process.stdout.write(`${problem}\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
