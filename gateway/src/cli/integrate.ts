import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { replaceFile, StartupError } from '@countersign/process-kit';
import {
  type Locations,
  nginxLocations,
  type Printed,
  type ProxyPlan,
  printers,
  probe,
} from '@countersign/proxy-config';
import type { GatewayConfig } from '../config/config.ts';
import { parsePattern, type Segment, servedMethods } from '../config/path-pattern.ts';
import { errorTable } from '../errors.ts';
import { exposed } from '../pipeline/cors.ts';
import { counted } from './check.ts';
import { type Command, configOption, loadNamed, type Terminal, text, UsageError } from './command.ts';

export const integrate: Command = {
  name: 'integrate',
  usage: 'PROXY --out DIR | PROXY --probe URL',
  summary: 'write the configuration for a proxy that asks this gateway for decisions, or test a running proxy',
  options: [
    configOption,
    ['--listen ADDRESS', 'the address that the proxy listens on; default: 127.0.0.1:8000'],
    ['--gateway HOST', 'the host name of the gateway for the proxy; default: the hosts in `listen`'],
    ['--out DIR', 'write the files to this directory; default: print them'],
    [
      '--probe URL',
      'test that the proxy at this address asks the gateway: at each route, and at each path of an nginx',
    ],
    ['--conf FILE', "with --probe: nginx's main file; default: the one that `nginx -T` reads"],
  ],
  run(terminal, values, [proxy, ...more]) {
    if (proxy === undefined || more.length > 0) throw new UsageError('one proxy is required');
    const print = Object.hasOwn(printers, proxy) ? printers[proxy as keyof typeof printers] : undefined;
    if (print === undefined)
      throw new UsageError(`unknown proxy "${proxy}"; known: ${Object.keys(printers).join(', ')}`);
    const config = loadNamed(terminal, values);
    if (config.decision?.proxy !== proxy) throw new UsageError(`${config.file} needs decision: { proxy: ${proxy} }`);
    const plan = planOf(config, text(values.listen) ?? '127.0.0.1:8000', text(values.gateway));
    const [origin, conf] = [text(values.probe), text(values.conf)];
    if (conf !== undefined && (origin === undefined || proxy !== 'nginx'))
      throw new UsageError('--conf needs --probe and nginx');
    if (origin === undefined) return write(terminal, print(plan), text(values.out));
    const own =
      proxy === 'nginx' ? readNginx(conf) : { unknown: `paths that only the configuration of ${proxy} names` };
    return tryLive(terminal, plan, origin, own, config.publicOrigins[0]);
  },
};

function write(terminal: Terminal, files: Printed, directory: string | undefined): number {
  if (directory === undefined) {
    const all = Object.entries(files);
    for (const [name, file] of all) terminal.out(`${all.length > 1 ? `==> ${name} <==\n` : ''}${file.text.trimEnd()}`);
    return 0;
  }
  mkdirSync(directory, { recursive: true });
  for (const [name, { text: content, mode }] of Object.entries(files)) {
    replaceFile(join(directory, name), content, mode);
    terminal.out(join(directory, name));
  }
  return 0;
}

type OwnPaths = (Locations & Readonly<{ file: string }>) | Readonly<{ unknown: string }>;

/** Reads nginx's own locations, if this user may. */
function readNginx(conf: string | undefined): OwnPaths {
  const args = conf === undefined ? [] : ['-p', dirname(resolve(conf)), '-c', resolve(conf)];
  const { stdout, stderr, error } = spawnSync('nginx', ['-T', ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const [, file] = /^# configuration file (.*):$/m.exec(stdout ?? '') ?? [];
  if (file !== undefined) return { file, ...nginxLocations(stdout) };
  return { unknown: `locations of nginx: \`nginx -T\` failed (${error?.message ?? stderr.trim()})` };
}

async function tryLive(
  terminal: Terminal,
  plan: ProxyPlan,
  given: string,
  own: OwnPaths,
  publicOrigin: string | undefined,
): Promise<number> {
  const url = URL.parse(given);
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`)
    throw new UsageError('--probe needs an origin, such as http://127.0.0.1:8000');
  const host = new URL(publicOrigin ?? url).host;
  const paths = 'file' in own ? own.paths : [];
  const problems = await probe(plan, url.origin, host, paths).catch((cause: NodeJS.ErrnoException) => {
    throw new StartupError(`no answer from ${url.origin}: ${cause.code ?? cause.message}`, { cause });
  });
  for (const { request, problem } of problems) terminal.out(`${terminal.paint('bad', 'bad')} ${request}: ${problem}`);
  const tried = [counted(plan.routes.length, 'route')];
  if ('file' in own) tried.push(`${counted(paths.length, 'location')} of ${own.file}`);
  const result = problems.length === 0 ? `${terminal.paint('good', 'good')} ${url.origin} asks the gateway: ` : '';
  terminal.out(`${result}tried ${tried.join(' and ')}, with Host: ${host}`);
  for (const what of 'file' in own ? own.patterns.map((pattern) => `location ${pattern}`) : [own.unknown])
    terminal.out(`not tried: ${what}`);
  return problems.length === 0 ? 0 : 1;
}

/** @throws UsageError for a secret that the proxies' files cannot contain unquoted. */
function planOf(config: GatewayConfig, proxyListens: string, gateway: string | undefined): ProxyPlan {
  const { routes, headers, listen, certificate, decision, cors, publicOrigins, errors } = config;
  if (listen.decision === undefined || decision === undefined) throw new Error('checked when the file is read');
  const [bytes] = decision.secrets;
  const secret = bytes && Buffer.from(bytes).toString();
  if (secret !== undefined && !/^[A-Za-z0-9._~+/=-]+$/.test(secret))
    throw new UsageError(
      'decision.secret contains characters that proxy configuration files treat as syntax: use hex or base64',
    );
  const host = gateway === undefined ? {} : { host: gateway };
  return {
    listen: proxyListens,
    public: { ...listen.public, ...host, isTls: certificate !== undefined },
    decision: { ...listen.decision, ...host, isTls: decision.clientCa !== undefined, group: decision.group },
    serverName: new URL(publicOrigins[0] ?? 'https://localhost').hostname,
    secret,
    routes: routes
      .filter(({ auth }) => auth !== 'service')
      .map((route) => ({
        ...route,
        segments: parsePattern(route.path) as readonly Segment[],
        methods: servedMethods(route.methods),
        needsToken: route.auth === 'required',
      })),
    strip: headers.strip,
    cors: cors && { ...cors, exposed: exposed(cors) },
    errors: errorTable,
    docs: errors.docs,
  };
}
