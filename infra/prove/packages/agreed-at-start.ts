import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually, freePorts, mintIssuer, recordingUpstream, startProcess } from '@countersign/testing';
import { expect } from '@jest/globals';
import type { Project } from '../../stacks/installed-packages.ts';
import { repository } from '../../stacks/stack.ts';

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

export const pages: readonly Page[] = [
  // The service has no endpoint for readiness: its port answers.
  { file: 'README.md', upstream: 'my-service', path: '/hello', audience: 'my-api', readyPath: '/hello', ready: 401 },
  { file: 'docs/tutorial.md', upstream: 'api', path: '/orders', audience: 'api', readyPath: '/readyz', ready: 200 },
];

/**
 * Starts a page's gateway, and then its service, in an empty folder of a project that has the packages.
 *
 * @returns Milliseconds from the service's readiness until the gateway signed a request with an agreed key.
 */
export async function msUntilAgreed(project: Project, page: Page, folder: string): Promise<number> {
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
  const keyServer = await recordingUpstream({
    answer: ({ target }, res) => {
      const metadata = { issuer: issuer.issuer, jwks_uri: `${keyServer.url}/keys` };
      res
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify(target === '/keys' ? issuer.jwks : metadata));
    },
  });
  const issuer = await mintIssuer({ issuer: keyServer.url, audience: page.audience });
  const node = (...args: string[]) => startProcess({ command: process.execPath, args, cwd: directory });
  const bin = '../node_modules/.bin/countersign';
  const configure = async (...args: string[]) => expect(await node(bin, ...args).exited).toBe(0);
  const file = join(directory, 'gateway.yaml');
  writeFileSync(join(directory, 'service.mjs'), here(block('js')));
  if (page.file === 'README.md') {
    const listen = 'listen: { public: "127.0.0.1:8080", admin: "127.0.0.1:9090", internal: "127.0.0.1:8090" }\n';
    writeFileSync(file, here(block('yaml').replace('https://id.example.com', keyServer.url) + listen));
    await configure('keys', 'create');
  } else {
    await configure('init', '--issuer', keyServer.url, '--upstream', `http://127.0.0.1:${servicePort}`);
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
    await keyServer.close();
  }
}
