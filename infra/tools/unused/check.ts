import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { installTools } from '@countersign/testing';

/*
 * `npm run unused`: finds unused code. knip has its own lock file, because most people who install the repository never
 * run it.
 */

installTools(import.meta.dirname);
const repository = resolve(import.meta.dirname, '../../..');
const knip = join(import.meta.dirname, 'node_modules/knip/bin/knip.js');
const { status } = spawnSync(process.execPath, [knip, ...process.argv.slice(2)], { cwd: repository, stdio: 'inherit' });
process.exitCode = status ?? 1;
