import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '@countersign/service-kit';
import type { DecisionProxy, GatewayConfig } from '../config/config.ts';
import { printCaddy } from '../integrate/caddy.ts';
import { printEnvoy } from '../integrate/envoy.ts';
import { printHaproxy } from '../integrate/haproxy.ts';
import { printNginx } from '../integrate/nginx.ts';
import type { Printed } from '../integrate/printed.ts';
import { probe } from '../integrate/probe.ts';
import { printTraefik } from '../integrate/traefik.ts';
import { type Command, configOption, loadNamed, text, UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';

const printers: Readonly<Record<DecisionProxy, (config: GatewayConfig, listen: string) => Printed>> = {
  nginx: printNginx,
  caddy: printCaddy,
  haproxy: printHaproxy,
  traefik: printTraefik,
  envoy: printEnvoy,
};

export const integrate: Command = {
  name: 'integrate',
  usage: 'PROXY --out DIR | PROXY --probe URL',
  summary: 'write the configuration of a proxy that asks this gateway, or try a live one',
  options: [
    configOption,
    ['--listen ADDRESS', 'where the proxy listens; default: 127.0.0.1:8000'],
    ['--out DIR', 'where to write the files; default: print the main one'],
    ['--probe URL', 'try the proxy at this address: every location must ask the gateway'],
  ],
  run(terminal, values, [proxy, ...more]) {
    if (proxy === undefined || more.length > 0) throw new UsageError('one proxy is required');
    const print = Object.hasOwn(printers, proxy) ? printers[proxy as DecisionProxy] : undefined;
    if (print === undefined)
      throw new UsageError(`unknown proxy "${proxy}"; known: ${Object.keys(printers).join(', ')}`);
    const config = loadNamed(terminal, values);
    if (config.decision?.proxy !== proxy)
      throw new UsageError(`${config.file} does not say decision: { proxy: ${proxy} }`);
    const origin = text(values.probe);
    if (origin !== undefined) return tryLive(terminal, config, origin);
    const files = print(config, text(values.listen) ?? '127.0.0.1:8000');
    const directory = text(values.out);
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
  },
};

async function tryLive(terminal: Terminal, config: GatewayConfig, origin: string): Promise<number> {
  if (!/^https?:\/\/[^/]+$/.test(origin))
    throw new UsageError('--probe needs an origin, such as http://127.0.0.1:8000');
  const findings = await probe(config, origin);
  for (const { request, problem } of findings) terminal.out(`${terminal.paint('bad', 'bad')} ${request}: ${problem}`);
  if (findings.length > 0) return 1;
  terminal.out(`${terminal.paint('good', 'good')} ${origin}: every location asks the gateway`);
  return 0;
}
