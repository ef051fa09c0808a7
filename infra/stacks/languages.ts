import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { isInstalled } from '@countersign/testing';
import { repository } from './stack.ts';

export const goModule = resolve(repository, 'packages/verifiers/go');

/** Whether the tests can use Go. `.ci/run` installs it. */
export const hasGo = isInstalled('go');

// No toolchain and no module comes from the network: the module has no dependencies.
export const goEnv = { ...process.env, GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '' };

/** Runs a go command in a folder of the repository, and returns what it printed. Throws unless it exits with 0. */
export function go(folder: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('go', args, {
    cwd: resolve(repository, folder),
    env: goEnv,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`go ${args.join(' ')} in ${folder} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** A Python with the packages that the tests need. jest.config.js looks for it. Empty if there is none. */
export const python = process.env.VERIFIER_PYTHON ?? '';
export const pythonPackage = resolve(repository, 'packages/verifiers/python');
export const pythonEnv = { PYTHONPATH: `${pythonPackage}/src`, PYTHONDONTWRITEBYTECODE: '1' };
