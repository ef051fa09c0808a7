import { spawnSync } from 'node:child_process';

/** Whether a program is on the PATH. Suites that need a missing program are skipped. `.ci/run` installs all of them. */
export const isInstalled = (program: string): boolean => spawnSync('which', [program]).status === 0;
