import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { eventually, freePorts, installTools, startProcess } from '@countersign/testing';
import { parse } from 'yaml';
import { python } from '../../stacks/languages.ts';
import { repository } from '../../stacks/stack.ts';

export type Rehearsal = Awaited<ReturnType<typeof rehearseRelease>>;

/** Runs a program and returns its output. @throws Error with the output, unless it exits with 0. */
export function runIn(cwd: string, env: NodeJS.ProcessEnv, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Returns the commands of a job in release.yml. Debian packages are a matter of .ci/nightly. */
export function commandsOf(job: string): readonly string[] {
  const workflow = parse(readFileSync(join(repository, '.github/workflows/release.yml'), 'utf8'));
  const steps: readonly Readonly<{ run?: string }>[] = workflow.jobs[job].steps;
  return steps.flatMap(({ run }) => (run === undefined || run.startsWith('sudo .ci/debian-packages') ? [] : run));
}

/** Starts Verdaccio in a folder, with every third-party package from npm, and ours only if they are published to it. */
async function startRegistry(directory: string, env: NodeJS.ProcessEnv) {
  installTools(import.meta.dirname);
  const [port = 0] = await freePorts(1);
  const ours = { access: '$all', publish: '$all' };
  const config = {
    storage: join(directory, 'storage'),
    web: { enable: false },
    auth: { htpasswd: { file: join(directory, 'htpasswd') } },
    uplinks: { npm: { url: runIn(directory, env, 'npm', 'config', 'get', 'registry').trim(), maxage: '1h' } },
    packages: { countersign: ours, '@countersign/*': ours, '**': { access: '$all', proxy: 'npm' } },
    log: { type: 'stdout', format: 'pretty', level: 'warn' },
  };
  writeFileSync(join(directory, 'config.yaml'), JSON.stringify(config));
  const bin = join(import.meta.dirname, 'node_modules/verdaccio/bin/verdaccio');
  const listen = ['--config', join(directory, 'config.yaml'), '--listen', `127.0.0.1:${port}`];
  const { stop, output } = startProcess({ args: [bin, ...listen], cwd: directory });
  const url = `http://127.0.0.1:${port}/`;
  await eventually(async () => (await fetch(`${url}-/ping`)).text(), 60_000).catch(async (cause) => {
    await stop();
    throw new Error(output(), { cause });
  });
  return { url, stop, output };
}

/**
 * Releases a clone of the last commit into a registry of its own, by the commands of release.yml. Then moves the clone
 * away, so that nothing installed can depend on it.
 */
export async function rehearseRelease() {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-release-'));
  const at = (name: string) => join(directory, name);
  for (const name of ['bin', 'home', 'published']) mkdirSync(at(name));
  symlinkSync(process.execPath, at('bin/node'));
  // Without the settings and the programs of the npm that runs this test.
  const path = (process.env.PATH ?? '').split(delimiter).filter((each) => !each.includes('node_modules'));
  const kept = Object.entries({ ...process.env, NODE_OPTIONS: '', PYTHON: python }).filter(
    ([name]) => !/^npm_/i.test(name),
  );
  const env = { ...Object.fromEntries(kept), PATH: [at('bin'), ...path].join(delimiter) } as NodeJS.ProcessEnv;
  const clone = at('countersign');
  let registry: Awaited<ReturnType<typeof startRegistry>> | undefined;
  const remove = async () => {
    await registry?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    registry = await startRegistry(directory, env);
    runIn(directory, env, 'git', 'clone', '--quiet', repository, clone);
    runIn(clone, env, 'npm', 'run', 'release:version');
    const { version } = JSON.parse(readFileSync(join(clone, 'gateway/package.json'), 'utf8')) as { version: string };
    for (const command of commandsOf('pack'))
      runIn(clone, { ...env, GITHUB_REF_NAME: `v${version}` }, 'bash', '-e', '-c', command);
    const goModule = `github.com/countersign/countersign/packages/verifiers/go@v${version}`;
    const archive = ['archive', '--format=zip', `--prefix=${goModule}/`, `--output=${at('go.zip')}`];
    runIn(clone, env, 'git', ...archive, 'HEAD:packages/verifiers/go');
    cpSync(join(clone, 'release'), at('published/release'), { recursive: true });
    cpSync(join(clone, 'examples'), at('examples'), {
      recursive: true,
      filter: (file) => !file.includes('node_modules'),
    });
    const settings = `registry=${registry.url}\n${registry.url.replace('http:', '')}:_authToken=rehearsal\n`;
    writeFileSync(at('home/.npmrc'), settings);
    const user = {
      ...env,
      HOME: at('home'),
      npm_config_userconfig: at('home/.npmrc'),
      npm_config_cache: at('home/cache'),
    };
    for (const command of commandsOf('npm')) runIn(at('published'), user, 'bash', '-e', '-c', command);
    renameSync(clone, at('moved-away'));
    const { url } = registry;
    return { directory, clone, version, url, release: at('published/release'), env: user, remove };
  } catch (cause) {
    await remove();
    throw new Error(registry?.output() ?? 'The registry did not start.', { cause });
  }
}
