import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Printed, type ProxyPlan, printers, probe } from '@countersign/proxy-config';
import { replaceFile } from '@countersign/service-kit';
import type { GatewayConfig } from '../config/config.ts';
import { parsePattern, type Segment, servedMethods } from '../config/path-pattern.ts';
import { errorTable } from '../errors.ts';
import { exposed } from '../pipeline/cors.ts';
import { type Command, configOption, loadNamed, text, UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';

export const integrate: Command = {
  name: 'integrate',
  usage: 'PROXY --out DIR | PROXY --probe URL',
  summary: 'write the configuration for a proxy that asks this gateway for decisions, or test a running proxy',
  options: [
    configOption,
    ['--listen ADDRESS', 'the address that the proxy listens on; default: 127.0.0.1:8000'],
    ['--gateway HOST', 'the host name of the gateway for the proxy; default: the hosts in `listen`'],
    ['--out DIR', 'write the files to this directory; default: print the main file'],
    ['--probe URL', 'test that every location of the proxy at this address asks the gateway'],
  ],
  run(terminal, values, [proxy, ...more]) {
    if (proxy === undefined || more.length > 0) throw new UsageError('one proxy is required');
    const print = Object.hasOwn(printers, proxy) ? printers[proxy as keyof typeof printers] : undefined;
    if (print === undefined)
      throw new UsageError(`unknown proxy "${proxy}"; known: ${Object.keys(printers).join(', ')}`);
    const config = loadNamed(terminal, values);
    if (config.decision?.proxy !== proxy) throw new UsageError(`${config.file} needs decision: { proxy: ${proxy} }`);
    const plan = planOf(config, text(values.listen) ?? '127.0.0.1:8000', text(values.gateway));
    const origin = text(values.probe);
    return origin === undefined
      ? write(terminal, print(plan), text(values.out))
      : tryLive(terminal, plan, origin, config.publicOrigins[0]);
  },
};

function write(terminal: Terminal, files: Printed, directory: string | undefined): number {
  if (directory === undefined) {
    const [first] = Object.values(files);
    terminal.out(first?.text.trimEnd() ?? '');
    return 0;
  }
  mkdirSync(directory, { recursive: true });
  for (const [name, { text: content, mode }] of Object.entries(files)) {
    replaceFile(join(directory, name), content, mode);
    terminal.out(join(directory, name));
  }
  return 0;
}

async function tryLive(terminal: Terminal, plan: ProxyPlan, origin: string, publicOrigin = origin): Promise<number> {
  if (!/^https?:\/\/[^/]+$/.test(origin))
    throw new UsageError('--probe needs an origin, such as http://127.0.0.1:8000');
  const findings = await probe(plan, origin, new URL(publicOrigin).host);
  for (const { request, problem } of findings) terminal.out(`${terminal.paint('bad', 'bad')} ${request}: ${problem}`);
  if (findings.length > 0) return 1;
  terminal.out(`${terminal.paint('good', 'good')} ${origin}: every location asks the gateway`);
  return 0;
}

/** @throws UsageError for a secret that the proxies' files cannot contain unquoted. */
function planOf(config: GatewayConfig, proxyListens: string, gateway: string | undefined): ProxyPlan {
  const { routes, headers, listen, certificate, decision, cors, publicOrigins } = config;
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
  };
}
