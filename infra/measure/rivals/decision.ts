import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import type { Subject } from '../load/rounds.ts';
import { benchPath, cliOf, type GatewayOptions, nodeOf, startGateway } from '../site/gateway.ts';
import type { Site } from '../site/site.ts';
import { serve } from './contenders.ts';

/** The address that `countersign integrate` prints. Each nginx replaces it with its own. */
const printedAddress = '127.0.0.1:8000';

/** In place of the files that ask: forwards each request unchanged, with the same settings that affect performance. */
const plainFiles = ({ upstreamOrigin }: Site) => ({
  'countersign-http.conf': `upstream service { server ${new URL(upstreamOrigin).host}; keepalive 128; }`,
  'countersign-server.conf': `proxy_http_version 1.1;
proxy_buffer_size 16k;
proxy_buffers 8 16k;
location / { proxy_pass http://service; proxy_set_header Connection ""; }`,
});

/** @returns nginx's version. Undefined if it is not installed. */
export const nginxVersion = (): string | undefined =>
  // `nginx -v` prints to standard error.
  /nginx\/(\S+)/.exec(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr)?.[1];

type DecisionOptions = Omit<GatewayOptions, 'decision'>;

/**
 * Starts a gateway, and nginx that asks it about each request. Both share one core.
 *
 * @returns nginx, with the gateway that it asks, the files of nginx, and the socket in them.
 */
export async function startBehindNginx(site: Site, options: DecisionOptions) {
  const { folder, cores } = options;
  const socket = join(mkdtempSync(join(site.directory, 'decision-')), 'decision.sock');
  const gateway = await startGateway(site, { ...options, decision: socket });
  const files = printedFiles(folder, gateway.file);
  const nginx = await startNginx(site, files, cores);
  return { ...nginx, asks: [gateway.pid], file: gateway.file, gateway, files, socket };
}

/**
 * Starts nginx alone, nginx that asks a server of `node:http`, nginx that asks the gateway, and the gateway without
 * nginx.
 */
export async function startDecisionSubjects(
  site: Site,
  { requestsFile, ...options }: DecisionOptions & Readonly<{ requestsFile: string }>,
): Promise<Subject[]> {
  const { folder, cores } = options;
  const { gateway, files, socket, ...asksGateway } = await startBehindNginx(site, options);
  const answerSocket = join(dirname(socket), 'answer.sock');
  const headers = JSON.stringify(await ask(socket, site.tokens[0]));
  const answer = await site.start({
    command: nodeOf(folder),
    args: [join(import.meta.dirname, 'answer-program.ts'), answerSocket, headers],
    cores,
    ready: async () => void (await ask(answerSocket)),
  });
  const asksAnswer = Object.fromEntries(
    Object.entries(files).map(([name, text]) => [name, text.replaceAll(socket, answerSocket)]),
  );
  const subjects = [
    { name: 'nginx, asks node:http', asks: [answer.pid], ...(await startNginx(site, asksAnswer, cores)) },
    { name: 'nginx alone', ...(await startNginx(site, { ...files, ...plainFiles(site) }, cores)) },
    { name: 'nginx, asks the gateway', ...asksGateway },
    { name: 'the gateway in its place', ...gateway },
  ];
  return subjects.map((subject) => ({ ...subject, requestsFile }));
}

/**
 * Runs nginx with these files, of which `nginx.conf` is the main one. nginx runs as a single process, because a
 * worker would outlive a killed master.
 */
function startNginx(site: Site, files: Readonly<Record<string, string>>, cores: string | undefined) {
  const directory = mkdtempSync(join(site.directory, 'nginx-'));
  mkdirSync(join(directory, 'client-body'));
  return serve(site, cores, (port) => {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(directory, name), text.replaceAll(printedAddress, `127.0.0.1:${port}`), { mode: 0o600 });
    }
    return {
      command: 'nginx',
      args: ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off; master_process off;'],
    };
  });
}

/** The output of `countersign integrate`: file names with their contents. */
function printedFiles(folder: string, config: string): Record<string, string> {
  const out = mkdtempSync(join(dirname(config), 'printed-'));
  const args = [...cliOf(folder), 'integrate', 'nginx', '--config', config, '--listen', printedAddress, '--out', out];
  execFileSync(nodeOf(folder), args);
  return Object.fromEntries(readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'utf8')]));
}

// Node's server writes these headers itself.
const connectionNames = /^(?:connection|keep-alive|date)$/i;

/**
 * Asks a decision endpoint as nginx does.
 *
 * @returns The answer's headers as alternating names and values, without connection headers.
 * @throws Error unless the answer is 200.
 */
function ask(socketPath: string, token = ''): Promise<readonly string[]> {
  const headers = {
    Host: '127.0.0.1',
    Authorization: `Bearer ${token}`,
    'X-Countersign-Method': 'GET',
    'X-Countersign-Target': benchPath,
    'X-Countersign-Scheme': 'http',
    'X-Countersign-Address': '127.0.0.1',
  };
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/decide', headers, agent: false }, (response) => {
      response.resume();
      const { statusCode, rawHeaders } = response;
      if (statusCode !== 200) reject(new Error(`the decision endpoint answered ${statusCode}`));
      else resolve(rawHeaders.filter((_, at) => !connectionNames.test(rawHeaders[at - (at % 2)] ?? '')));
    })
      .on('error', reject)
      .end();
  });
}
