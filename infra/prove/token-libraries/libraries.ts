import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { goEnv, hasGo } from '../../stacks/languages.ts';
import { type ServiceOptions, type ServiceProcess, startService } from '../../stacks/service-process.ts';
import { repository } from '../../stacks/stack.ts';

export const page = readFileSync(resolve(repository, 'docs/identity-token.md'), 'utf8');
const goLibrary = '/usr/share/gocode/src/github.com/golang-jwt/jwt/v5';
const classPath = '/usr/share/java/jose4j.jar:/usr/share/java/slf4j-api.jar:.';

const works = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;
const python = ['python3', '/usr/bin/python3'].find((one) => works(one, '-c', 'import cryptography, joserfc, jwt'));

/** `service`: the file in services/ that serves HTTP with the page's code. */
type Program = Readonly<{ isInstalled: boolean; service: string; build?: readonly string[] }> &
  Pick<ServiceOptions, 'command'> &
  Partial<ServiceOptions>;

const inPython = {
  isInstalled: python !== undefined,
  service: 'service.py',
  command: python ?? '',
  env: { PYTHONDONTWRITEBYTECODE: '1' },
};

/** Each library of docs/identity-token.md, as Debian or npm has it. */
const programs = {
  jose: { isInstalled: true, service: 'service.mjs', command: process.execPath },
  PyJWT: inPython,
  joserfc: inPython,
  'golang-jwt': {
    isInstalled: hasGo && existsSync(goLibrary),
    service: 'main.go',
    build: ['go', 'build', '-o', 'service', '.'],
    command: './service',
  },
  jose4j: {
    isInstalled: works('javac', '-version') && existsSync('/usr/share/java/jose4j.jar'),
    service: 'Service.java',
    build: ['javac', '-cp', classPath, 'IdentityToken.java', 'BoundRequest.java', 'Service.java'],
    command: 'java',
    args: () => ['-cp', classPath, 'Service'],
  },
  'lcobucci/jwt': {
    isInstalled: works('php', '-r', "require 'Lcobucci/JWT/autoload.php'; extension_loaded('apcu') || exit(1);"),
    service: 'service.php',
    command: 'php',
    args: (port) => ['-S', `127.0.0.1:${port}`, 'service.php'],
  },
  'ruby-jwt': { isInstalled: works('ruby', '-rjwt', '-rwebrick', '-e', '1'), service: 'service.rb', command: 'ruby' },
} satisfies Record<string, Program>;

export type Library = keyof typeof programs;
export const libraries = Object.keys(programs) as Library[];
export const isInstalled = (library: Library): boolean => programs[library].isInstalled;

/** Starts a service with the page's code for a library, which takes its keys from this internal listener. */
export async function startWith(library: Library, internal: number): Promise<ServiceProcess> {
  const { service, build, env, ...program }: Program = programs[library];
  const cwd = mkdtempSync(join(tmpdir(), 'countersign-token-'));
  for (const [, file = '', only, text = ''] of page.matchAll(/^```\w+ (\S+)(?: \((\S+)\))?\n([\s\S]*?)^```$/gm))
    if (extname(file) === extname(service) && (only ?? library) === library)
      writeFileSync(join(cwd, file), text.replaceAll(':8090', `:${internal}`));
  cpSync(join(import.meta.dirname, 'services', service), join(cwd, service));
  const module = `module orders\ngo 1.24\nrequire github.com/golang-jwt/jwt/v5 v5.2.2\nreplace github.com/golang-jwt/jwt/v5 => ${goLibrary}\n`;
  if (service === 'main.go') writeFileSync(join(cwd, 'go.mod'), module);
  if (service === 'service.mjs') symlinkSync(join(repository, 'node_modules'), join(cwd, 'node_modules'));
  const [command = '', ...args] = build ?? ['true'];
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env: goEnv, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${build?.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  const started = await startService({ args: () => [service], ...program, cwd, env: { ...process.env, ...env } });
  return { ...started, stop: () => started.stop().finally(() => rmSync(cwd, { recursive: true })) };
}
