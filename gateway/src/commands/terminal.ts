import { styleText } from 'node:util';
import type { Environment } from '@countersign/service-kit';

type Paint = 'good' | 'bad' | 'quiet' | 'strong';

/** What a command may touch of the world. Commands return their exit code: 0 good, 1 a problem, 2 wrongly called. */
export type Terminal = Readonly<{
  out(line: string): void;
  err(line: string): void;
  /** Colours for `out`, where somebody is looking: `err` may go somewhere else. */
  paint(style: Paint, text: string): string;
  env: Environment;
  nowMs(): number;
}>;

const formats = { good: 'green', bad: 'red', quiet: 'dim', strong: 'bold' } as const;

/** Standard output and error. Colours only on a terminal, and never with NO_COLOR (https://no-color.org). */
export function processTerminal(env: Environment): Terminal {
  // `countersign explain … | head -3`: whoever reads has seen enough, and the exit code is still the command's.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
  const coloured = process.stdout.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    paint: (style, text) => (coloured ? styleText(formats[style], text, { validateStream: false }) : text),
    env,
    nowMs: Date.now,
  };
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
