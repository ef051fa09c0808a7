import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually, freePorts } from '@countersign/testing';
import { expect, test } from '@jest/globals';

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const page = readFileSync(pathOf('../../docs/operations/routes.md'), 'utf8');

/** A fenced block: `console` holds commands and their output. Others are files, named after their language. */
const blocks = [...page.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm)].map(([, language, name = '', text = '']) => ({
  language,
  name,
  text,
}));

function commandsOf(text: string): { command: string; output: string }[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((piece) => {
      const end = piece.indexOf('\n');
      return { command: piece.slice(0, end), output: piece.slice(end + 1).trimEnd() };
    });
}

/** `…` represents text that differs each time. */
const patternOf = (output: string) =>
  new RegExp(`^${output.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '[^\\n]*')}$`);

test('the commands of docs/operations/routes.md print what the page shows', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-page-'));
  const [gateway, admin, internal, hello] = await freePorts(4);
  const documented = new Map([
    ['8080', gateway],
    ['9090', admin],
    ['9000', hello],
  ]);
  const bin = join(home, '.bin');
  mkdirSync(bin);
  const write = (name: string, line: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  write('node', `exec '${process.execPath}' "$@"`);
  write('npx', `shift; exec '${process.execPath}' --conditions=source '${pathOf('../bin/countersign.js')}' "$@"`);
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    PATH: `${bin}:${process.env.PATH}`,
    GATEWAY_PORT: String(gateway),
    GATEWAY_ADMIN_PORT: String(admin),
    GATEWAY_INTERNAL_PORT: String(internal),
    HELLO_PORT: String(hello),
    DRAIN_DELAY_MS: '0',
  };
  const pids: number[] = [];

  async function run(command: string): Promise<string> {
    let line = command;
    for (const [port, free] of documented) line = line.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${free}`);
    // The test ends background processes by id, and they must not hold its pipe open.
    if (line.endsWith('&')) line = `exec 3>&1; ${line.slice(0, -1)} >>'${home}/.log' 2>&1 3>&- & echo $!`;
    const ended = await promisify(execFile)('/bin/sh', ['-c', `{ ${line}\n} 2>&1`], { cwd: home, env }).catch(
      (error: { stdout: string }) => error,
    );
    if (command.endsWith('&')) {
      pids.push(Number(ended.stdout));
      return '';
    }
    let output = ended.stdout.trimEnd();
    for (const [port, free] of documented) output = output.replaceAll(`127.0.0.1:${free}`, `127.0.0.1:${port}`);
    return output;
  }

  try {
    for (const { language, name, text } of blocks) {
      if (language !== 'console') {
        writeFileSync(join(home, name), text);
        continue;
      }
      for (const { command, output } of commandsOf(text)) {
        // The gateway needs a moment to start, and to notice a changed file.
        const isAsPrinted = async () => expect(await run(command)).toMatch(patternOf(output));
        if (command.startsWith('curl')) await eventually(isAsPrinted, 60_000);
        else await isAsPrinted();
      }
    }
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGTERM');
    await eventually(() => {
      for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    }, 30_000);
    rmSync(home, { recursive: true });
  }
}, 180_000);
