import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { startAgentsStack } from '../../stacks/agents-stack.ts';
import { commandsOf, openShell, runAsPrinted } from '../../stacks/page-commands.ts';
import { repository } from '../../stacks/stack.ts';

test('docs/ai-agents.md works as printed', async () => {
  const commands = commandsOf(readFileSync(resolve(repository, 'docs/ai-agents.md'), 'utf8'));
  expect(commands.length).toBeGreaterThan(10);
  const { place, mcp, stop } = await startAgentsStack();
  const here = (text: string) => text.replaceAll('127.0.0.1:8080', mcp.host);
  const shell = openShell(repository, {
    ...process.env,
    NODE_OPTIONS: '',
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    MCP_URL: mcp.href,
  });
  try {
    for (const { command, output } of commands) {
      const moved = here(command).replaceAll('.countersign/', `${place.home}/`);
      await runAsPrinted(shell, { command: moved, output: here(output) });
    }
  } finally {
    shell.close();
    await stop();
  }
}, 240_000);
