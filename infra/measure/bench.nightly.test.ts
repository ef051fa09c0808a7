import { resolve } from 'node:path';
import { startProcess } from '@countersign/testing';
import { expect, test } from '@jest/globals';

const repository = resolve(import.meta.dirname, '../..');

async function run(program: string, args: readonly string[], path = process.env.PATH): Promise<string> {
  const running = startProcess({
    args: [`infra/measure/${program}`, ...args],
    cwd: repository,
    env: { PATH: path },
  });
  const code = await running.exited;
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${running.output()}`);
  return running.output();
}

// A busy machine may need a minute to start all servers.
const timeoutMs = 300_000;
const short = ['--rounds', '1', '--seconds', '1'];

test.each([
  ['with what is installed', process.env.PATH],
  ['without wrk, taskset and HAProxy', '/nowhere'],
])(
  'measures the baseline and the gateway %s',
  async (_case, path) => {
    const output = await run('bench.ts', [...short, '--only', 'limit,gateway-hmac-sha256'], path);
    expect(output).toMatch(/^\| limit \| [\d,]+ \([\d,–]+\) \| 1\.00 \| \d/m);
    expect(output).toMatch(/^\| gateway-hmac-sha256 \| [\d,]+ \([\d,–]+\) \| \d\.\d\d \| \d/m);
  },
  timeoutMs,
);

test(
  'measures rivals that refuse an invalid token',
  async () => {
    const output = await run('bench.ts', [...short, '--only', 'recipe,fastify']);
    expect(output).toMatch(/^\| recipe \| \d/m);
    expect(output).toMatch(/^\| fastify \| \d/m);
  },
  timeoutMs,
);

test(
  '--decision measures nginx and the servers that it asks',
  async () => {
    const output = await run('bench.ts', [...short, '--decision']);
    expect(output).toMatch(/^\| nginx, asks node:http \| \d.*\| 1\.00 \|/m);
    expect(output).toMatch(/^\| nginx, asks the gateway \| \d/m);
  },
  timeoutMs,
);

test(
  'bench:whole measures every form beside jose, and chains of services',
  async () => {
    const output = await run('whole.ts', short);
    expect(output).not.toContain('– (');
    expect(output.match(/^\| jose, behind HAProxy \| \d/gm)).toHaveLength(4);
    expect(output.match(/^\| agreed \| \d/gm)).toHaveLength(4);
  },
  timeoutMs,
);

test(
  'bench:stages measures every part and the total',
  async () => {
    const output = await run('stages.ts', short);
    expect(output).not.toContain('– (');
    expect(output).toMatch(/^\| whole, hmac-sha256 \| \d/m);
  },
  timeoutMs,
);

test(
  'bench:growth measures workers, latencies and a burst of new tokens',
  async () => {
    const output = await run('growth.ts', [...short, '--only', 'workers,latency,burst']);
    expect(output).toMatch(/^\| 2 \| \d/m);
    expect(output).toMatch(/^\| gateway-hmac-sha256 \| \d/m);
    expect(output).toMatch(/^\| 1,000 requests\/s, new tokens \| \d/m);
  },
  timeoutMs,
);
