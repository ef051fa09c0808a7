import { spawnSync } from 'node:child_process';

/** Whether a program is on the PATH. Suites that need one are skipped without it; `.ci/run` installs all of them. */
export const isInstalled = (program: string): boolean => spawnSync('which', [program]).status === 0;
