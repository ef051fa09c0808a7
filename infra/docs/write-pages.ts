import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pages } from './pages.ts';

// `npm run docs`: writes every page that is generated from the code.

for (const [file, render] of pages) {
  const path = resolve(import.meta.dirname, '../..', file);
  writeFileSync(path, render(existsSync(path) ? readFileSync(path, 'utf8') : ''));
  process.stdout.write(`${file}\n`);
}
