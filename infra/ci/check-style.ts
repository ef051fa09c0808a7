import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { findings } from './style-rules.ts';

// `npm run style`, a part of `npm run check`: checks the style of comments, test titles and pages.

const root = resolve(import.meta.dirname, '../..');
const files = execFileSync('git', ['ls-files', '*.ts', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');

for (const file of files) {
  for (const { line, rule, text } of findings(file, readFileSync(resolve(root, file), 'utf8'))) {
    process.stdout.write(`${file}:${line}: ${rule}: ${text}\n`);
    process.exitCode = 1;
  }
}
