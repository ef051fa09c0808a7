import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { eventually, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type GatewayYaml, makePlace, type Place, repository, startEverything, writeGatewayConfig } from './stack.ts';

const page = readFileSync(resolve(repository, 'docs/first-half-hour.md'), 'utf8');

/** `console` blocks hold commands with what they print; the `yaml` one is added to gateway.yaml. */
const blocks = [...page.matchAll(/^```(console|yaml)\n([\s\S]*?)^```$/gm)].map(([, language, text = '']) => ({
  language,
  text,
}));

const commandsOf = (text: string) =>
  text
    .split(/^\$ /m)
    .slice(1)
    .map((piece) => {
      const end = piece.indexOf('\n');
      return { command: piece.slice(0, end), output: piece.slice(end + 1).trimEnd() };
    });

/** `…` matches any text. */
const patternOf = (output: string) =>
  new RegExp(`^${output.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '[^\\n]*')}$`);

/** Runs the whole page in one shell, because later blocks use its variables and functions. */
function openShell(env: NodeJS.ProcessEnv) {
  const shell = spawn('/bin/sh', [], { cwd: repository, env, stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  let count = 0;
  return {
    async run(command: string): Promise<string> {
      count += 1;
      const end = `end-of-${count}`;
      const from = output.length;
      shell.stdin.write(`${command}\necho; echo ${end}\n`);
      await eventually(() => expect(output).toContain(`\n${end}\n`), 60_000);
      return output.slice(from, output.indexOf(`\n${end}\n`)).trim();
    },
    close: () => shell.stdin.end(),
  };
}

async function follow(place: Place, servicePort: number): Promise<void> {
  const { gateway, admin, auth } = place.ports;
  const ports = { 8080: gateway, 8081: auth, 9090: admin, 3000: servicePort };
  const here = (text: string) =>
    Object.entries(ports).reduce(
      (line, [port, free]) => line.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${free}`),
      text,
    );
  const shell = openShell({ ...process.env, NODE_OPTIONS: '', ...place.env });
  try {
    for (const { language, text } of blocks) {
      if (language === 'yaml') {
        const added = parse(here(text)) as GatewayYaml;
        writeGatewayConfig(place, 'gateway.yaml', (config) => {
          Object.assign(config.upstreams, added.upstreams);
          config.routes.push(...added.routes);
        });
        continue;
      }
      for (const { command, output } of commandsOf(text)) {
        const mail = /\$\((mailed [a-z-]+)\)/.exec(command)?.[1];
        // A mail is written shortly after the answer. On a busy machine the page's two seconds may be too short.
        if (mail !== undefined) await shell.run(`until [ -n "$(${mail})" ]; do sleep 0.1; done`);
        const isAsPrinted = async () => expect(await shell.run(here(command))).toMatch(patternOf(output));
        // Logouts and changed files also take effect later. Requests without side effects can be repeated.
        if (command.startsWith('curl') && !/ -[dX] /.test(command)) await eventually(isAsPrinted, 60_000);
        else await isAsPrinted();
      }
    }
  } finally {
    shell.close();
  }
}

test('docs/first-half-hour.md works as printed', async () => {
  const place = await makePlace({ databaseUrl: undefined, redisUrl: undefined });
  const [servicePort = 0] = await freePorts(1);
  let everything: StartedProcess | undefined;
  let service: StartedProcess | undefined;
  try {
    const config = writeGatewayConfig(place, 'gateway.yaml', () => {});
    everything = await startEverything(place, { GATEWAY_CONFIG: config });
    service = startProcess({
      args: [resolve(repository, 'packages/identity/test/readme-example.ts')],
      env: {
        PORT: String(servicePort),
        GATEWAY_KEYS_URL: `http://127.0.0.1:${place.ports.internal}/.well-known/jwks.json`,
      },
    });
    await follow(place, servicePort);
  } finally {
    await service?.stop();
    await everything?.stop();
    await place.remove();
  }
}, 240_000);
