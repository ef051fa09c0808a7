import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { testGateway } from '@countersign/identity/testing';
import { eventually, freePorts, installTools, mintIssuer, recordingUpstream, startProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { dependenciesOf, installPackages, type Project, published } from '../../stacks/installed-packages.ts';
import { untilStatus } from '../../stacks/service-process.ts';
import { repository } from '../../stacks/stack.ts';
import { startIssuer } from './issuer.ts';
import { followTutorial } from './tutorial.ts';

const examples = ['express', 'fastify', 'hono', 'nestjs'];
const binaries = `node-${process.platform}-${process.arch}`;
// The oldest version of each release line that the packages allow, and the newest.
const nodes = ['22.19.0', '24.0.0', '26'];

let project: Project;
beforeAll(() => {
  installTools(release);
  project = installPackages([
    'jose',
    ...examples.flatMap(dependenciesOf),
    ...nodes.map((version) => `node${version}@npm:${binaries}@${version}`),
  ]);
}, 300_000);
afterAll(() => project?.remove());

const nodeOf = (version: string) => join(project.directory, `node_modules/node${version}/bin/node`);
const release = resolve(repository, 'infra/tools/release');
const tool = (name: string) => join(release, 'node_modules/.bin', name);

describe('the packed packages', () => {
  test('publint and arethetypeswrong find no problem', () => {
    for (const tarball of project.tarballs) {
      expect(project.run(tool('publint'), '--strict', tarball)).toContain('All good!');
      project.run(tool('attw'), '--profile', 'esm-only', tarball);
    }
  });

  test('the packages contain a license and a readme, and no TypeScript that Node.js would have to strip', () => {
    for (const tarball of project.tarballs) {
      const files = project.run('tar', '-tzf', tarball).trim().split('\n');
      expect(files).toEqual(expect.arrayContaining(['package/LICENSE', 'package/README.md', 'package/package.json']));
      expect(files.filter((file) => file.startsWith('package/bin/') || file.includes('.test.'))).toEqual(
        tarball.includes('/countersign-0') ? ['package/bin/countersign.js'] : [],
      );
    }
  });

  test.each(['nodenext', 'node16', 'bundler'])('the packages have types with moduleResolution %s', (resolution) => {
    writeFileSync(
      join(project.directory, 'consumer.ts'),
      [
        `import { createVerifier, memoryReplay, staticGatewayKeys } from '@countersign/identity';`,
        `import { userOf, verifyIdentity } from '@countersign/identity/express';`,
        `import { remoteKeySet } from '@countersign/jwks';`,
        `import { type GatewayConfig, loadConfig } from 'countersign';`,
        `import { createClient } from '@countersign/client';`,
        `export const config: GatewayConfig = loadConfig('gateway.yaml', process.env);`,
        `// @ts-expect-error the audience is required`,
        `createVerifier({ keys: staticGatewayKeys({ keys: [] }), replay: memoryReplay() });`,
        `export const ask = async () => {`,
        `  const { error } = await createClient({ baseUrl: 'https://api.example' }).logIn({ email: 'a', password: 'b' });`,
        `  if (error?.code === 'mfa_required') return error.mfa_token;`,
        `  // @ts-expect-error this operation has no such error`,
        `  return error?.code === 'last_admin';`,
        `};`,
        `export { userOf, verifyIdentity, remoteKeySet };`,
      ].join('\n'),
    );
    const module = resolution === 'bundler' ? 'preserve' : resolution;
    const options = ['--noEmit', '--strict', '--target', 'es2024', '--types', 'node'];
    project.run(
      resolve(repository, 'node_modules/.bin/tsc'),
      ...options,
      '--module',
      module,
      '--moduleResolution',
      resolution,
      'consumer.ts',
    );
  });

  test.each(nodes)('the packages load with import and with require on Node.js %s', (version) => {
    const names = [...published, '@countersign/identity/express', '@countersign/identity/web'];
    const load = (how: string) => `for (const name of ${JSON.stringify(names)}) { ${how}; }`;
    project.run(nodeOf(version), '--input-type=module', '-e', load('await import(name)'));
    project.run(nodeOf(version), '--input-type=commonjs', '-e', load('require(name)'));
  });

  test.each(nodes)('the packages protect a service end to end on Node.js %s', async (version) => {
    const issuer = await mintIssuer({ audience: 'my-api' });
    const keyServer = await recordingUpstream({ answer: (_request, res) => void res.end(JSON.stringify(issuer.jwks)) });
    const [open = 0, admin = 0, internal = 0, servicePort = 0] = await freePorts(4);
    const config = join(project.directory, `gateway-${version}.yaml`);
    // `countersign init` can write this file.
    writeFileSync(
      config,
      JSON.stringify({
        version: 1,
        listen: { public: `127.0.0.1:${open}`, admin: `127.0.0.1:${admin}`, internal: `127.0.0.1:${internal}` },
        issuers: [
          {
            issuer: issuer.issuer,
            audience: 'my-api',
            jwks: keyServer.url,
            algorithms: ['ES256'],
          },
        ],
        identity: { keys: `./keys-${version}` },
        upstreams: { 'my-service': { targets: [`http://127.0.0.1:${servicePort}`] } },
        routes: [{ name: 'hello', path: '/hello', methods: ['GET'], upstream: 'my-service', auth: 'required' }],
      }),
    );
    const bin = join(project.directory, 'node_modules/.bin/countersign');
    project.run(nodeOf(version), bin, 'keys', 'create', '--config', config);
    expect(project.run(nodeOf(version), bin, 'check', config)).toContain('1 route, 1 upstream, 1 issuer');
    const cwd = project.directory;
    const gateway = startProcess({ ownGroup: true, command: nodeOf(version), args: [bin, 'serve', config], cwd });
    cpSync(resolve(repository, 'examples/express/server.js'), join(cwd, 'server.js'));
    const service = startProcess({
      ownGroup: true,
      command: nodeOf(version),
      args: ['server.js'],
      cwd,
      env: { PORT: String(servicePort), GATEWAY_KEYS_URL: `http://127.0.0.1:${internal}/.well-known/jwks.json` },
    });
    try {
      const authorization = `Bearer ${await issuer.accessToken({ user_id: 'user-7', sub: 'user-7' })}`;
      const url = `http://127.0.0.1:${open}/hello`;
      const answer = await untilStatus(200, () => fetch(url, { headers: { authorization, 'x-user-id': 'forged' } }));
      expect(await answer.json()).toEqual({ hello: 'user-7' });
      const direct = await fetch(`http://127.0.0.1:${servicePort}/hello`, { headers: { 'x-user-id': 'user-7' } });
      expect([direct.status, direct.headers.get('x-identity-refused')]).toEqual([401, 'signature_missing']);
      expect((await fetch(url)).status).toBe(401);
    } finally {
      await Promise.all([gateway.stop(), service.stop()]);
      await keyServer.close();
    }
  });
});

describe('examples with the packed packages', () => {
  test.each(examples)('%s', async (example) => {
    const cwd = join(project.directory, 'examples', example);
    cpSync(resolve(repository, 'examples', example), cwd, {
      recursive: true,
      filter: (file) => !/node_modules|dist/.test(file.slice(repository.length)),
    });
    const gateway = testGateway({ audience: 'my-service' });
    const keyServer = await recordingUpstream({
      answer: (_request, res) => void res.end(JSON.stringify(gateway.jwks)),
    });
    const [port = 0] = await freePorts(1);
    const env = { PORT: String(port), GATEWAY_KEYS_URL: `${keyServer.url}/.well-known/jwks.json` };
    const service = startProcess({ ownGroup: true, command: 'npm', args: ['start'], cwd, env });
    const url = `http://127.0.0.1:${port}/hello`;
    try {
      const signed = () => fetch(url, { headers: gateway.signedRequest({ path: '/hello' }).headers });
      expect(await (await untilStatus(200, signed)).json()).toEqual({ hello: 'user-1' });
      const forged = await fetch(url, { headers: { 'x-identity': 'user', 'x-user-id': 'user-1' } });
      expect([forged.status, forged.headers.get('x-identity-refused')]).toEqual([401, 'signature_missing']);
      const anonymous = gateway.signedRequest({ path: '/hello', as: { kind: 'anonymous' } });
      expect((await fetch(url, { headers: anonymous.headers })).status).toBe(403);
    } finally {
      await service.stop();
      await keyServer.close();
    }
  });
});

test('docs/tutorial.md works as printed', async () => {
  const directory = join(project.directory, 'my-api');
  mkdirSync(directory);
  // The page calls node_modules/.bin/countersign.
  symlinkSync('../node_modules', join(directory, 'node_modules'));
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  await followTutorial(directory, { ...process.env, NODE_OPTIONS: '' });
}, 120_000);

type Page = Readonly<{
  /** With the service in its first block of JavaScript. */
  file: string;
  upstream: string;
  path: string;
  audience: string;
  /** Whether the service is ready when it answers with this status at `readyPath`. */
  readyPath: string;
  ready: number;
}>;

const pages: readonly Page[] = [
  // The service has no endpoint for readiness: its port answers.
  { file: 'README.md', upstream: 'my-service', path: '/hello', audience: 'my-api', readyPath: '/hello', ready: 401 },
  { file: 'docs/tutorial.md', upstream: 'api', path: '/orders', audience: 'api', readyPath: '/readyz', ready: 200 },
];

/**
 * Starts a page's gateway, and then its service, in an empty folder with the packed packages.
 *
 * @returns Milliseconds from the service's readiness until the gateway signed a request with an agreed key.
 */
async function msUntilAgreed(page: Page, folder: string): Promise<number> {
  const text = readFileSync(resolve(repository, page.file), 'utf8');
  const directory = join(project.directory, folder);
  mkdirSync(directory);
  symlinkSync('../node_modules', join(directory, 'node_modules'));
  const ports = await freePorts(4);
  const [open, admin, , servicePort] = ports;
  const shown = [8080, 9090, 8090, 3000];
  const here = (code: string) =>
    shown.reduce((changed, port, at) => changed.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), String(ports[at])), code);
  const block = (language: string) =>
    new RegExp(`^\`\`\`${language}\\b.*\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text)?.[1] ?? '';
  const issuer = await startIssuer(page.audience);
  const node = (...args: string[]) => startProcess({ command: process.execPath, args, cwd: directory });
  const bin = '../node_modules/.bin/countersign';
  const configure = async (...args: string[]) => expect(await node(bin, ...args).exited).toBe(0);
  const file = join(directory, 'gateway.yaml');
  writeFileSync(join(directory, 'service.mjs'), here(block('js')));
  if (page.file === 'README.md') {
    const listen = 'listen: { public: "127.0.0.1:8080", admin: "127.0.0.1:9090", internal: "127.0.0.1:8090" }\n';
    writeFileSync(file, here(block('yaml').replace('https://id.example.com', issuer.issuer) + listen));
    await configure('keys', 'create');
  } else {
    await configure('init', '--issuer', issuer.issuer, '--upstream', `http://127.0.0.1:${servicePort}`);
    writeFileSync(file, here(readFileSync(file, 'utf8')));
  }
  const gateway = node(bin, 'serve');
  let service: ReturnType<typeof node> | undefined;
  try {
    const ask = async (url: string) => (await fetch(url, { headers: { connection: 'close' } })).text();
    // The gateway has not found the service, and waits before it looks again.
    await eventually(
      async () => expect(await ask(`http://127.0.0.1:${admin}/upstreams`)).toContain('ECONNREFUSED'),
      60_000,
    );
    await gateway.waitFor(/gateway is ready/);
    service = node('service.mjs');
    await eventually(async () => {
      const { status } = await fetch(`http://127.0.0.1:${servicePort}${page.readyPath}`);
      expect(status).toBe(page.ready);
    }, 60_000);
    const readyAt = performance.now();
    const authorization = `Bearer ${await issuer.accessToken()}`;
    const request = () => fetch(`http://127.0.0.1:${open}${page.path}`, { headers: { authorization } });
    await eventually(async () => {
      await (await request()).text();
      const signed = new RegExp(`signatures_total{upstream="${page.upstream}",algorithm="agreed"} [1-9]`);
      expect(await ask(`http://127.0.0.1:${admin}/metrics`)).toMatch(signed);
    });
    const ms = performance.now() - readyAt;
    await eventually(async () => expect((await request()).status).toBe(200));
    return ms;
  } catch (cause) {
    throw new Error(`${gateway.output()}\n${service?.output()}`, { cause });
  } finally {
    await Promise.all([gateway.stop(), service?.stop()]);
    await issuer.close();
  }
}

test.each(pages)('$file: agreed keys sign requests within a second after the service is ready', async (page) => {
  const times: number[] = [];
  for (const round of [1, 2, 3]) times.push(await msUntilAgreed(page, `agreed-${page.upstream}-${round}`));
  process.stdout.write(`${page.file}: agreed after ${times.map(Math.round).join(', ')} ms\n`);
  expect(Math.max(...times)).toBeLessThan(1_000);
});

test.each([...published])('%s: every link in the README leads to a file in the repository', (name) => {
  const readme = readFileSync(join(project.directory, 'node_modules', name, 'README.md'), 'utf8');
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link);
  const { repository: where } = JSON.parse(
    readFileSync(join(project.directory, 'node_modules', name, 'package.json'), 'utf8'),
  );
  const base = `${where.url.replace(/^git\+|\.git$/g, '')}/blob/main/`;
  for (const link of links.filter((each) => !each.startsWith('https://www.'))) {
    expect(link.startsWith(base) ? 'absolute' : link).toBe('absolute');
    readFileSync(resolve(repository, (link.slice(base.length).split('#')[0] ?? '').replace(/^$/, 'README.md')));
  }
});
