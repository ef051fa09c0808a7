import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { testGateway } from '@countersign/identity/testing';
import { freePorts, recordingUpstream, startProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openBrowser, watchPage } from '../../stacks/browser.ts';
import { published } from '../../stacks/installed-packages.ts';
import { hasGo, python } from '../../stacks/languages.ts';
import { startService, untilStatus } from '../../stacks/service-process.ts';
import { makePlace, repository, startEverything } from '../../stacks/stack.ts';
import { startIssuer } from '../packages/issuer.ts';
import { followTutorial } from '../packages/tutorial.ts';
import { commandsOf, type Rehearsal, rehearseRelease, runIn } from './registry.ts';

type Published = Readonly<{ license: string; dist: Readonly<{ tarball: string }> }>;
type Content = Readonly<{ license: string; packedBytes: number; files: readonly string[] }>;

let rehearsal: Rehearsal;
beforeAll(async () => {
  rehearsal = await rehearseRelease();
}, 600_000);
afterAll(() => rehearsal?.remove());

const run = (cwd: string, command: string, ...args: string[]) => runIn(cwd, rehearsal.env, command, ...args);
const fileOf = (name: string) => name.replace('@countersign/', 'countersign-');
const tarballOf = (name: string) => join(rehearsal.release, `${fileOf(name)}-${rehearsal.version}.tgz`);
const list = (archive: string) =>
  (archive.endsWith('.whl')
    ? run(rehearsal.directory, 'unzip', '-Z1', archive)
    : run(rehearsal.directory, 'tar', '-tzf', archive)
  )
    .trim()
    .split('\n');
const install = (...names: string[]) => `npm install ${names.join(' ')}`;
const json = (file: string) => JSON.parse(readFileSync(file, 'utf8'));

function emptyFolder(name: string): string {
  const directory = join(rehearsal.directory, 'trials', name);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** The part of a page that it will show when the names are held. */
function wayFromRegistry(page: string): string {
  const text = readFileSync(join(repository, page), 'utf8');
  return `${/^<!-- registry(?: -->)?\n(.*?)\n(?:<!-- )?\/registry -->$/ms.exec(text)?.[1] ?? ''}\n`;
}
const pages = execFileSync('git', ['grep', '-l', '^<!-- registry', '--', '*.md'], { cwd: repository, encoding: 'utf8' })
  .trim()
  .split('\n');

/** Everything installed is a file of this folder, from this registry. */
function expectFromRegistry(directory: string): void {
  const { packages } = json(join(directory, 'node_modules/.package-lock.json')) as {
    packages: Record<string, { resolved?: string }>;
  };
  const strange = Object.values(packages).filter(({ resolved }) => !resolved?.startsWith(rehearsal.url));
  expect(strange).toEqual([]);
  const links = globSync('node_modules/**', { cwd: directory })
    .map((file) => join(directory, file))
    .filter((file) => lstatSync(file).isSymbolicLink());
  for (const link of links) expect(realpathSync(link)).toContain(directory);
  for (const name of published.filter((each) => existsSync(join(directory, 'node_modules', each))))
    expect(json(join(directory, 'node_modules', name, 'package.json')).version).toBe(rehearsal.version);
}

describe('what a release publishes', () => {
  const expected = join(import.meta.dirname, 'contents.json');

  test('the files, licenses and sizes are those of contents.json, which WRITE_CONTENTS=1 writes', async () => {
    const found: Record<string, Content> = {};
    for (const name of published) {
      const document = await fetch(`${rehearsal.url}${name.replace('/', '%2F')}`);
      const { versions } = (await document.json()) as { versions: Record<string, Published> };
      expect(Object.keys(versions)).toEqual([rehearsal.version]);
      const { license = '', dist } = versions[rehearsal.version] ?? {};
      const tarball = new Uint8Array(await (await fetch(dist?.tarball ?? '')).arrayBuffer());
      expect(Buffer.from(tarball).equals(readFileSync(tarballOf(name)))).toBe(true);
      const files = list(tarballOf(name)).map((file) => file.replace('package/', ''));
      found[name] = { license, packedBytes: tarball.length, files: files.sort() };
    }
    for (const archive of globSync('python/*', { cwd: rehearsal.release }).sort()) {
      const file = join(rehearsal.release, archive);
      const files = list(file).map((each) => each.replaceAll(rehearsal.version, 'VERSION'));
      const name = basename(archive).replace(rehearsal.version, 'VERSION');
      const metadata = archive.endsWith('.whl')
        ? ['unzip', '-p', file, '*/METADATA']
        : ['tar', '-xOzf', file, '--wildcards', '*/PKG-INFO'];
      const [command = '', ...args] = metadata;
      const [, license = ''] = /^License-Expression: (.*)$/m.exec(run(rehearsal.directory, command, ...args)) ?? [];
      found[name] = { license, packedBytes: statSync(file).size, files: files.sort() };
    }
    for (const [name, { license, packedBytes, files }] of Object.entries(found)) {
      const size = `${Math.round(packedBytes / 1000)} kB`;
      process.stdout.write(`${name} ${rehearsal.version}  ${files.length} files, ${size}, ${license}\n`);
    }
    if (process.env.WRITE_CONTENTS) writeFileSync(expected, `${JSON.stringify(found, null, 2)}\n`);
    const before = json(expected) as Record<string, Content>;
    const withoutSizes = (all: Record<string, Content>) =>
      Object.entries(all).map(([name, { license, files }]) => ({ name, license, files }));
    expect(withoutSizes(found)).toEqual(withoutSizes(before));
    const grown = Object.entries(found).filter(([name, { packedBytes }]) => {
      const was = before[name]?.packedBytes ?? 0;
      return Math.abs(packedBytes - was) > was / 10;
    });
    expect(
      grown.map(([name, { packedBytes }]) => `${name}: ${before[name]?.packedBytes} B, now ${packedBytes} B`),
    ).toEqual([]);
  });

  test('no archive contains a test, a key, a secret or a path of the clone', () => {
    const archives = globSync(['*.tgz', 'python/*'], { cwd: rehearsal.release });
    expect(archives).toHaveLength(published.length + 2);
    for (const archive of archives) {
      const folder = emptyFolder(`contents/${basename(archive)}`);
      const file = join(rehearsal.release, archive);
      if (archive.endsWith('.whl')) run(folder, 'unzip', '-q', file);
      else run(folder, 'tar', '-xzf', file);
      const files = globSync('**/*', { cwd: folder }).filter((each) => statSync(join(folder, each)).isFile());
      expect(files.length).toBeGreaterThan(5);
      expect(
        files.filter((each) => /\.test\.|(^|\/)tests?\/|_test\.|\.(pem|key|p12|jwk\.json|npmrc|env)$/.test(each)),
      ).toEqual([]);
      const secret =
        /-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]|"d": ?"[\w-]{20,}"|_authToken=|npm_[A-Za-z0-9]{36}/;
      // The keys of the vectors are published on purpose: verifiers and the gateway refuse them.
      const found = files.filter((each) => {
        const text = readFileSync(join(folder, each), 'latin1');
        return (
          (secret.test(text) && !each.endsWith('vectors.json')) ||
          text.includes(rehearsal.directory) ||
          text.includes(repository)
        );
      });
      expect(found).toEqual([]);
    }
  });

  test('each package has an SBOM with the components that an installation has, all under permissive licenses', () => {
    const allowed = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', '0BSD'];
    for (const name of published) {
      const sbom = json(join(rehearsal.release, `${fileOf(name)}.cdx.json`));
      expect([sbom.bomFormat, sbom.metadata.component.name, sbom.metadata.component.version]).toEqual([
        'CycloneDX',
        name,
        rehearsal.version,
      ]);
      const components: {
        name: string;
        purl: string;
        licenses?: { license?: { id: string }; expression?: string }[];
      }[] = sbom.components ?? [];
      const { dependencies = {} } = JSON.parse(
        run(rehearsal.directory, 'tar', '-xOzf', tarballOf(name), 'package/package.json'),
      );
      const names = components.map((component) => component.name);
      expect(names).toEqual(expect.arrayContaining(Object.keys(dependencies)));
      const wrong = components.filter(({ licenses = [{}] }) => {
        const ids = licenses.flatMap(
          ({ license, expression = '' }) => license?.id ?? expression.split(/[()]| AND | OR /).filter(Boolean),
        );
        return ids.length === 0 || !ids.every((id) => allowed.includes(id));
      });
      expect(wrong.map(({ purl, licenses }) => `${purl} ${JSON.stringify(licenses)}`)).toEqual([]);
      process.stdout.write(`${fileOf(name)}.cdx.json: ${components.length} components\n`);
    }
  });

  test('the checksums cover every file, and detect a change', () => {
    const folder = emptyFolder('checksums');
    cpSync(rehearsal.release, folder, { recursive: true });
    run(folder, 'sha256sum', '--check', '--quiet', 'SHA256SUMS');
    const files = globSync('**/*', { cwd: folder }).filter((file) => statSync(join(folder, file)).isFile());
    expect(readFileSync(join(folder, 'SHA256SUMS'), 'utf8').trim().split('\n')).toHaveLength(files.length - 1);
    writeFileSync(join(folder, basename(tarballOf('countersign'))), 'changed');
    expect(() => run(folder, 'sha256sum', '--check', '--quiet', 'SHA256SUMS')).toThrow('FAILED');
  });

  test('the registry has no package of ours that was not published, and others from npm', async () => {
    expect(existsSync(rehearsal.clone)).toBe(false);
    expect((await fetch(`${rehearsal.url}@countersign%2Fservice-kit`)).status).toBe(404);
    expect((await fetch(`${rehearsal.url}left-pad`)).status).toBe(200);
  });
});

test('the workflow builds five images for amd64 and arm64 with SBOM and provenance, and a wrong tag stops it', () => {
  const bake = commandsOf('images').find((command) => command.includes('buildx bake')) ?? '';
  // The plugin resolves the file without Docker. infra/ship/docker/image.nightly.test.ts builds the images.
  const print = `${bake.replace('docker buildx', '/usr/libexec/docker/cli-plugins/docker-buildx')} --print`;
  const env = {
    ...rehearsal.env,
    GITHUB_REF_NAME: `v${rehearsal.version}`,
    REGISTRY: 'registry.example',
    REVISION: 'abc',
  };
  const { target } = JSON.parse(runIn(repository, env, 'bash', '-e', '-c', print)) as {
    target: Record<string, { attest: string[]; platforms: string[]; tags: string[]; args: Record<string, string> }>;
  };
  const stages = [
    ...readFileSync(join(repository, 'infra/ship/docker/Dockerfile'), 'utf8').matchAll(/^FROM runtime AS (\S+)/gm),
  ];
  expect(Object.keys(target).sort()).toEqual(stages.map(([, stage]) => stage).sort());
  for (const [name, { attest, platforms, tags, args }] of Object.entries(target)) {
    expect(platforms).toEqual(['linux/amd64', 'linux/arm64']);
    expect(tags).toEqual([`registry.example/${name}:${rehearsal.version}`]);
    expect(args).toEqual({ VERSION: rehearsal.version, REVISION: 'abc' });
    expect(attest.join()).toMatch(/type=sbom.*type=provenance,mode=max/);
  }
  const check = commandsOf('pack').find((command) => command.includes('GITHUB_REF_NAME')) ?? '';
  const tagged = (tag: string) => () =>
    runIn(
      join(rehearsal.directory, 'moved-away'),
      { ...rehearsal.env, GITHUB_REF_NAME: tag },
      'bash',
      '-e',
      '-c',
      check,
    );
  expect(tagged(`v${rehearsal.version}`)).not.toThrow();
  expect(tagged('v9.9.9')).toThrow('exit code 1');
});

describe('in an empty folder whose only registry it is', () => {
  test.each(pages.filter((page) => !/python/.test(page)))('the command of %s installs the packages', (page) => {
    const [command = ''] = /npm install (?:@?countersign[\w/]* ?)+/.exec(wayFromRegistry(page)) ?? [];
    const names = command.trim().split(' ').slice(2);
    const directory = emptyFolder(page.replaceAll('/', '-'));
    run(directory, 'sh', '-c', `npm init -y && ${command}`);
    expectFromRegistry(directory);
    for (const name of names) run(directory, 'node', '--input-type=module', '-e', `await import('${name}')`);
    expect(names.length).toBeGreaterThan(0);
  });

  test('docs/tutorial.md works as printed', async () => {
    const [, commands = ''] = /^```sh\n(.*?)^```$/ms.exec(wayFromRegistry('docs/tutorial.md')) ?? [];
    const directory = emptyFolder('tutorial');
    run(directory, 'sh', '-e', '-c', commands);
    expectFromRegistry(join(directory, 'my-api'));
    await followTutorial(join(directory, 'my-api'), rehearsal.env);
  });

  test('the middleware of docs/middleware.md protects a service', async () => {
    const directory = emptyFolder('middleware');
    run(directory, 'sh', '-c', `npm init -y && npm pkg set type=module && ${install('countersign', 'express')}`);
    expectFromRegistry(directory);
    const upstream = await recordingUpstream();
    const issuer = await startIssuer('api');
    run(directory, 'npx', 'countersign', 'init', '--issuer', issuer.issuer, '--upstream', upstream.url);
    const [, code = ''] =
      /^```ts\n(.*?)^```$/ms.exec(readFileSync(join(repository, 'docs/middleware.md'), 'utf8')) ?? [];
    writeFileSync(join(directory, 'app.js'), code.replace('8080', 'Number(process.env.PORT)'));
    const [port = 0] = await freePorts(1);
    const app = startProcess({
      command: 'node',
      args: ['app.js'],
      cwd: directory,
      env: { ...rehearsal.env, PORT: String(port) },
    });
    try {
      const url = `http://127.0.0.1:${port}/orders`;
      const authorization = `Bearer ${await issuer.accessToken({ sub: 'ada' })}`;
      await untilStatus(200, () => fetch(url, { headers: { authorization, 'x-user-id': 'forged' } }));
      const received = upstream.requests.find(({ target }) => target === '/orders');
      expect(received?.headers).toMatchObject({ 'x-user-id': 'ada', signature: expect.any(String) });
      expect((await fetch(url)).status).toBe(401);
    } finally {
      await app.stop();
      await Promise.all([upstream.close(), issuer.close()]);
    }
  });

  test('the client works in a Vite app in Chromium, with the real services', async () => {
    const directory = emptyFolder('vite');
    const { devDependencies } = json(join(repository, 'web/package.json'));
    run(directory, 'sh', '-c', `npm init -y && ${install('@countersign/client', `vite@${devDependencies.vite}`)}`);
    expectFromRegistry(directory);
    const page = readFileSync(join(repository, 'packages/client/README.md'), 'utf8');
    const code = /```js\n([\s\S]*?)```/
      .exec(page)?.[1]
      ?.replace(/\{ baseUrl: '.*?' \}/, '')
      .replaceAll('console.log', 'show');
    writeFileSync(join(directory, 'main.js'), `const show = (text) => { document.body.append(text, '; '); };\n${code}`);
    writeFileSync(
      join(directory, 'index.html'),
      '<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="/main.js"></script>',
    );
    const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
    const [port = 0] = await freePorts(1);
    const proxy = { '/v1': `http://127.0.0.1:${place.ports.gateway}` };
    writeFileSync(
      join(directory, 'vite.config.mjs'),
      `export default ${JSON.stringify({ build: { target: 'es2024' }, preview: { proxy } })}`,
    );
    run(directory, 'npx', 'vite', 'build');
    const origin = `http://127.0.0.1:${port}`;
    const services = await startEverything(place, { AUTH_BROWSER_ORIGINS: origin });
    const args = [
      join(directory, 'node_modules/.bin/vite'),
      'preview',
      '--host',
      '127.0.0.1',
      '--strictPort',
      '--port',
      String(port),
    ];
    const preview = startProcess({ command: 'node', args, cwd: directory, env: rehearsal.env });
    const browser = await openBrowser();
    try {
      await untilStatus(200, () => fetch(origin));
      const tab = await browser.newPage();
      const problems = watchPage(tab, origin);
      await tab.goto(origin);
      const shown = tab.getByText('agent@acme.test is in acme; 1 of the members; ').waitFor();
      await shown.catch((cause) => {
        throw new Error(problems.join('\n'), { cause });
      });
      expect(problems).toEqual([]);
    } finally {
      await browser.close();
      await preview.stop();
      await services.stop();
      await place.remove();
    }
  });
});

/** Sends signed, forged and replayed requests to an example in another language. */
async function expectVerifier(options: Omit<Parameters<typeof startService>[0], 'env'>, env: NodeJS.ProcessEnv) {
  const gateway = testGateway({ audience: 'my-service' });
  const keyServer = await recordingUpstream({ answer: (_request, res) => void res.end(JSON.stringify(gateway.jwks)) });
  const service = await startService({ ...options, env: { ...env, GATEWAY_KEYS_URL: keyServer.url } });
  try {
    const url = `${service.url}/hello`;
    const signed = () => fetch(url, { headers: gateway.signedRequest({ path: '/hello' }).headers });
    expect(await (await untilStatus(200, signed)).json()).toEqual({ hello: 'user-1' });
    const forged = await fetch(url, { headers: { 'x-identity': 'user', 'x-user-id': 'user-1' } });
    expect([forged.status, forged.headers.get('x-identity-refused')]).toEqual([401, 'signature_missing']);
    const { headers } = gateway.signedRequest({ path: '/hello' });
    expect([(await fetch(url, { headers })).status, (await fetch(url, { headers })).status]).toEqual([200, 401]);
  } finally {
    await service.stop();
    await keyServer.close();
  }
}

describe('for other languages', () => {
  test.each(['whl', 'tar.gz'])('the command of docs/service-in-python.md installs the %s', async (kind) => {
    expect(python).not.toBe('');
    const directory = emptyFolder(`python-${kind}`);
    mkdirSync(join(directory, 'index'));
    for (const file of globSync(`python/*.${kind}`, { cwd: rehearsal.release }))
      cpSync(join(rehearsal.release, file), join(directory, 'index', basename(file)));
    const [, page = ''] = /^```sh\n(.*?)^```$/ms.exec(wayFromRegistry('docs/service-in-python.md')) ?? [];
    // cryptography, FastAPI and hatchling come from Debian.
    const commands = page.replace('python3 -m venv', `${python} -m venv --system-site-packages`);
    const offline = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: join(directory, 'index'), PIP_NO_BUILD_ISOLATION: '0' };
    runIn(directory, { ...rehearsal.env, ...offline }, 'sh', '-e', '-c', commands);
    const installed = join(directory, 'venv/bin/python3');
    const show =
      'import countersign_identity, importlib.metadata as m; print(countersign_identity.__file__, m.version("countersign-identity"))';
    const [file = '', version] = run(directory, installed, '-c', show).trim().split(' ');
    expect([file.startsWith(directory), version]).toEqual([true, rehearsal.version]);
    cpSync(join(rehearsal.directory, 'examples/python'), directory, { recursive: true });
    const args = (port: number) => ['-m', 'uvicorn', 'service:app', '--port', String(port)];
    await expectVerifier({ command: installed, args, cwd: directory }, { PYTHONPATH: '' });
  });

  test('go get installs the module from a file tree', async () => {
    expect(hasGo).toBe(true);
    const module = 'github.com/countersign/countersign/packages/verifiers/go';
    const tree = join(emptyFolder('go-proxy'), module, '@v');
    const file = (end: string) => join(tree, `v${rehearsal.version}.${end}`);
    mkdirSync(tree, { recursive: true });
    cpSync(join(rehearsal.directory, 'go.zip'), file('zip'));
    writeFileSync(join(tree, 'list'), `v${rehearsal.version}\n`);
    writeFileSync(file('info'), JSON.stringify({ Version: `v${rehearsal.version}`, Time: new Date() }));
    writeFileSync(file('mod'), run(tree, 'unzip', '-p', file('zip'), '*/go.mod'));
    const directory = emptyFolder('go');
    cpSync(join(rehearsal.directory, 'examples/go'), directory, { recursive: true });
    const proxy = `file://${join(rehearsal.directory, 'trials/go-proxy')}`;
    const home = { GOPATH: join(rehearsal.directory, 'go'), GOFLAGS: '-mod=mod -modcacherw' };
    const env = { ...rehearsal.env, ...home, GOPROXY: proxy, GOSUMDB: 'off', GOTOOLCHAIN: 'local' };
    runIn(directory, env, 'go', 'mod', 'edit', `-dropreplace=${module}`, `-droprequire=${module}`);
    runIn(directory, env, 'go', 'get', `${module}/identity@v${rehearsal.version}`);
    const where = runIn(directory, env, 'go', 'list', '-m', '-f', '{{.Dir}} {{.Version}}', module);
    expect(where.trim()).toBe(
      `${join(home.GOPATH, 'pkg/mod', `${module}@v${rehearsal.version}`)} v${rehearsal.version}`,
    );
    await expectVerifier({ command: 'go', args: () => ['run', '.'], cwd: directory }, env);
  });
});
