import { spawn } from 'node:child_process';
import { eventually } from '@countersign/testing';
import { expect } from '@jest/globals';

export type PageCommand = Readonly<{ command: string; output: string }>;

/** Returns the commands in a page's `console` blocks, each with the output that the page shows. */
export function commandsOf(page: string): readonly PageCommand[] {
  return [...page.matchAll(/^```console\n([\s\S]*?)^```$/gm)].flatMap(([, text = '']) =>
    text
      .replaceAll(/ \\\n +/g, ' ')
      .split(/^\$ /m)
      .slice(1)
      .map((piece) => {
        const end = piece.indexOf('\n');
        return { command: piece.slice(0, end), output: piece.slice(end + 1).trimEnd() };
      }),
  );
}

/** Returns the pattern for a shown output, in which `…` matches any text within a line. */
export const patternOf = (output: string): RegExp =>
  new RegExp(`^${output.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '[^\\n]*')}$`);

export type Shell = ReturnType<typeof openShell>;

/** Runs all of a page's commands in one shell, because later blocks use earlier variables and functions. */
export function openShell(cwd: string, env: NodeJS.ProcessEnv) {
  const shell = spawn('/bin/sh', [], { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  let count = 0;
  return {
    /** Runs one line and returns its trimmed standard output. */
    async run(command: string, withinMs = 60_000) {
      count += 1;
      const end = `end-of-${count}`;
      const from = output.length;
      shell.stdin.write(`${command}\necho; echo ${end}\n`);
      await eventually(() => expect(output).toContain(`\n${end}\n`), withinMs);
      return output.slice(from, output.indexOf(`\n${end}\n`)).trim();
    },
    close: () => shell.stdin.end(),
  };
}

/** Runs a command until it prints the output shown on the page. Commands that change something run only once. */
export async function runAsPrinted(shell: Shell, { command, output }: PageCommand): Promise<void> {
  const isAsPrinted = async () => expect(await shell.run(command)).toMatch(patternOf(output));
  // Logouts and changed files take effect later, so requests without side effects are repeated.
  const isRepeatable =
    (command.startsWith('curl') && !/ -[dX] /.test(command)) || /^grep|agent\.ts list_/.test(command);
  if (isRepeatable) await eventually(isAsPrinted, 60_000);
  else await isAsPrinted();
}
